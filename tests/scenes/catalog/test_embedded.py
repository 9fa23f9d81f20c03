"""The embedded Postgres: shared, stopped by the last one, also after a user was killed; models equal migrations."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres, with_driver
from scenes.catalog.migrations import migrate
from scenes.catalog.queue_schema import PREFIX
from scenes.catalog.tables import metadata
from scenes.errors import BadInput, EnvironmentMissing
from tests.scenes.catalog.schemas import is_current

pytestmark = pytest.mark.postgres

HOLD = """
import sys, time
from pathlib import Path
from scenes.catalog.embedded import postgres
with postgres(Path(sys.argv[1]), None) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def hold(home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def leave(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=30)


def test_the_last_of_several_processes_stops_the_server_even_after_a_kill(home: Path) -> None:
    first, second, third = hold(home), hold(home), hold(home)
    urls = {process.stdout.readline() for process in (first, second, third) if process.stdout}
    assert len(urls) == 1
    alive = home / "postgres" / "postmaster.pid"
    first.send_signal(signal.SIGKILL)
    leave(first)
    leave(second)
    assert alive.exists()
    leave(third)
    assert not alive.exists()


def test_a_server_that_is_killed_comes_back_with_all_that_was_committed(home: Path) -> None:
    with postgres(home, None) as url:
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 17 AS n")
        os.kill(int((home / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert asked_until_answered(plain, "SELECT n FROM kept") == 17
    assert not (home / "postgres" / "postmaster.pid").exists()


def asked_until_answered(url: str, question: str) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with psycopg.connect(url) as connection:
                row = connection.execute(question).fetchone()
                return int(row[0]) if row else 0
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("it did not come back")


def test_a_data_folder_with_a_long_path_works(home: Path) -> None:
    with postgres(home / ("deep" * 20) / ("er" * 30), None) as url:
        assert is_current(url)


def test_models_equal_migrations(database_url: str) -> None:
    with create_engine(with_driver(database_url), poolclass=NullPool).connect() as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or not (name or "").startswith(PREFIX)}
        assert compare_metadata(MigrationContext.configure(connection, opts=ours), metadata) == []


def test_migrating_at_once_from_two_processes_is_safe(postgres_server: str) -> None:
    plain = postgres_server.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE DATABASE shared_by_three")
    url = postgres_server.replace("/postgres?", "/shared_by_three?")
    code = f"from scenes.catalog.migrations import migrate; migrate({url!r})"
    workers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert is_current(url)


async def test_a_missing_server_is_told_plainly() -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    with pytest.raises(EnvironmentMissing, match="does not answer") as told:
        migrate(url)
    assert told.value.code == "postgres_unreachable"
    catalog = Catalog.connect(url)
    with pytest.raises(EnvironmentMissing, match="does not answer"):
        await catalog.ping()
    await catalog.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///x.db", "no Postgres URL"),
        ("nonsense", "no Postgres URL"),
        ("postgresql://me:gehe1m@host:port/name", "can't be read"),
        ("postgresql://me:gehe1m@gehe1m@host/name", "more than one @"),
    ],
)
def test_only_postgres_urls_are_taken(url: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as refused:
        with_driver(url)
    assert "gehe1m" not in f"{refused.value}{refused.value.fix}"

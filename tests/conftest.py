"""Shared fixtures: a real Postgres once a run, a fresh database each test; sockets only for tests that say so."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import pytest_socket
from hypothesis import settings

from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.migrations import migrate
from tests import command_server

SOCKET_GROUPS = {"postgres", "encoder", "vllm", "browser", "cli", "http"}

os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """One command server for all of pytest-xdist's workers."""
    if not hasattr(config, "workerinput"):
        stack = ExitStack()
        stack.enter_context(command_server.open_server())
        config.add_cleanup(stack.close)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if SOCKET_GROUPS & {marker.name for marker in item.iter_markers()}:
        pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost", "::1"], allow_unix_socket=True)
    else:
        pytest_socket.disable_socket(allow_unix_socket=True)


def pytest_runtest_teardown() -> None:
    pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real embedded Postgres that lives as long as the run."""
    pytest_socket.enable_socket()
    with open_folder() as folder, postgres(folder, None) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """The name of a migrated database that no test writes to; each test gets a copy of it."""
    plain, name = postgres_server.replace("+psycopg", ""), "migrated_template"
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    migrate(postgres_server.replace("/postgres?", f"/{name}?"))
    return name


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database of its own, as a `postgresql://` URL."""
    name = f"t_{uuid.uuid4().hex}"
    plain = postgres_server.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    yield plain.replace("/postgres?", f"/{name}?")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def catalog(database_url: str) -> AsyncIterator[Catalog]:
    """A catalog on a fresh database."""
    catalog = Catalog.connect(database_url.replace("postgresql://", "postgresql+psycopg://"))
    yield catalog
    await catalog.close()


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder."""
    with open_folder() as folder:
        yield folder


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that another user can enter: under root, Postgres runs as one; pytest's own folders are closed."""
    with tempfile.TemporaryDirectory(prefix="wordsight-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)

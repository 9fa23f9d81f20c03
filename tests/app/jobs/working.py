"""A worker's shift in this process: real queue, real captioner, a scripted server in place of a vision LLM."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app.cli.worker import open_shift
from app.settings import Settings
from app.worker.worker import Around, Worker
from app.worker.worker_loop import Shift
from indexer.encoding.embedding import Tick
from scenes.catalog import collections
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from tests.indexer.letters import BagOfLetters


def config(home: Path, database_url: str, engine: str, sources: Sequence[str] = ()) -> Settings:
    """A worker's settings."""
    return Settings.model_validate(
        {
            "WORDSIGHT_HOME": home,
            "DATABASE_URL": database_url,
            "WORDSIGHT_JOB_SOURCES": tuple(sources),
            "WORDSIGHT_ENGINE_OPTIONS": f"--base-url {engine} --concurrency 2 --tries 1",
            "WORDSIGHT_WORKER_LOST_AFTER": 2.0,
        }
    )


@asynccontextmanager
async def shift_of(catalog: Catalog, settings: Settings, said: list[str]) -> AsyncIterator[Shift]:
    """A shift that has not begun."""
    around = Around(lambda _name: BagOfLetters(), said.append, _quiet)
    async with open_shift(catalog, settings, Worker(catalog, settings.home, around)) as shift:
        yield shift


async def make_collection(catalog: Catalog, name: str = "pets") -> None:
    """A collection that the scripted server describes."""
    async with catalog.writing() as session:
        await collections.ensure(session, Collection(name=name, engine="openai", engine_model="scripted"))


@contextmanager
def _quiet(_title: str) -> Iterator[Tick]:
    yield lambda _done, _total: None

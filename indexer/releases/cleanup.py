"""The release folders of collections that are gone: nothing will ever read them again."""

import asyncio
import shutil
from pathlib import Path

from indexer.releases.release import releases_folder
from scenes.catalog import collections
from scenes.catalog.connection import Catalog


async def sweep(catalog: Catalog, home: Path) -> list[int]:
    """Delete the release folders of deleted collections; returns their numbers.

    Only what this catalog itself says is gone is deleted. Raises `EnvironmentMissing` where Postgres is away; nothing
    is deleted then.
    """
    numbers = await asyncio.to_thread(_numbers, releases_folder(home))
    if not numbers:
        return []
    async with catalog.reading() as session:
        gone = await collections.gone(session, numbers)
    for number in gone:
        await asyncio.to_thread(shutil.rmtree, releases_folder(home) / str(number), True)
    return gone


def _numbers(folder: Path) -> list[int]:
    """The collections that have release folders; they are read before the catalog, which knows each by then."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())

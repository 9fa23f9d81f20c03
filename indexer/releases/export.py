"""All vectors of a collection, streamed from Postgres into files: a build never holds them in memory."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from indexer.vectors.vector_index import vector_ids
from indexer.vectors.vector_store import IDS, VECTORS, write_shape
from scenes.catalog import collections, embeddings
from scenes.catalog.connection import Catalog
from scenes.catalog.embeddings import Vectored
from scenes.recipe import EncoderRecipe


@dataclass(frozen=True, slots=True)
class Gathered:
    """What lies in the folder: all images with vectors at `generation`; `rows` counts images."""

    rows: int
    generation: int


async def gather(catalog: Catalog, collection_id: int, encoder: EncoderRecipe, folder: Path) -> Gathered:
    """Write the vectors of a collection, as of one moment, as the files of a vector store."""
    rows = 0
    async with catalog.consistent() as session:
        generation = await collections.generation(session, collection_id)
        await asyncio.to_thread(_start, folder)
        async for batch in embeddings.stream(session, collection_id, encoder):
            await asyncio.to_thread(_append, folder, batch, encoder.views)
            rows += len(batch.rows)
    await asyncio.to_thread(write_shape, folder, rows * encoder.views, encoder.dimensions)
    return Gathered(rows, generation)


def _start(folder: Path) -> None:
    for name in (IDS, VECTORS):
        (folder / name).touch()


def _append(folder: Path, batch: Vectored, views: int) -> None:
    with (folder / IDS).open("ab") as file:
        vector_ids(batch.rows, views).astype("<i8", copy=False).tofile(file)
    with (folder / VECTORS).open("ab") as file:
        batch.vectors.astype("<f4", copy=False).tofile(file)

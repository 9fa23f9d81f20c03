"""Embed what has no vectors yet, batch by batch; stopped anywhere, it goes on where it was."""

from collections.abc import Callable

import numpy as np

from indexer.encoder import Encoder
from scenes.catalog import embeddings, recipes
from scenes.catalog.engine import Catalog
from scenes.description import SceneDescription
from scenes.wording import passages

BATCH = 128
Tick = Callable[[int, int], None]


async def embed_missing(
    catalog: Catalog, collection_id: int, encoder: Encoder, tick: Tick = lambda _done, _total: None
) -> int:
    """Give every current description of a collection its vectors; returns how many were embedded."""
    async with catalog.writing() as session:
        fingerprint = await recipes.remember_encoder(session, encoder.recipe)
        total = await embeddings.count_missing(session, collection_id, fingerprint)
    done = 0
    while True:
        async with catalog.reading() as session:
            todo = await embeddings.missing(session, collection_id, fingerprint, BATCH)
        if not todo:
            return done
        rows = embed([description for _, description in todo], encoder)
        async with catalog.writing() as session:
            stored = [(row_id, *row) for (row_id, _), row in zip(todo, rows, strict=True)]
            await embeddings.store(session, collection_id, fingerprint, stored)
        done += len(todo)
        tick(done, max(total, done))


def embed(
    descriptions: list[SceneDescription], encoder: Encoder
) -> list[tuple["np.ndarray[tuple[int, int], np.dtype[np.float32]]", bool]]:
    """For each description: float32 (views, dim) and whether a text was longer than the encoder reads."""
    worded = [passages(description, encoder.recipe.wording) for description in descriptions]
    encoded = encoder.encode_documents([passage.text for views in worded for passage in views])
    shape = (len(descriptions), encoder.recipe.views)
    vectors = encoded.vectors.reshape(*shape, encoder.recipe.dimensions)
    truncated = encoded.truncated.reshape(shape)
    return [(vectors[i], bool(np.any(truncated[i]))) for i in range(len(descriptions))]

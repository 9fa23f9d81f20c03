"""Embed what has no vectors yet, batch by batch; stopped anywhere, it goes on where it was."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from indexer.encoder import Encoder
from indexer.late_interaction import pack
from scenes.catalog import embeddings, recipes
from scenes.catalog.embeddings import Embedding
from scenes.catalog.engine import Catalog
from scenes.description import SceneDescription
from scenes.wording import passages

BATCH = 128
Tick = Callable[[int, int], None]


async def embed_missing(
    catalog: Catalog,
    collection_id: int,
    encoder: Encoder,
    tick: Tick = lambda _done, _total: None,
    *,
    seen: bool = True,
) -> int:
    """Give every current description of a collection its vectors; returns how many were embedded.

    Not `seen`: of an encoder that does not answer yet (see `embeddings.store`).
    """
    async with catalog.writing() as session:
        fingerprint = await recipes.remember_encoder(session, encoder.recipe)
        total = await embeddings.count_missing(session, collection_id, fingerprint)
    done = last = 0
    while True:
        async with catalog.reading() as session:
            todo = await embeddings.missing(session, collection_id, fingerprint, BATCH, after=last)
        if not todo and last == 0:
            return done
        last = todo[-1][0] if todo else 0  # from the beginning once more: an undone edit lies behind
        if not todo:
            continue
        rows = await asyncio.to_thread(embed, [description for _, description in todo], encoder)
        async with catalog.writing() as session:
            stored = [(row_id, row) for (row_id, _), row in zip(todo, rows, strict=True)]
            await embeddings.store(session, collection_id, fingerprint, stored, seen=seen)
        done += len(todo)
        tick(done, max(total, done))


def embed(descriptions: Sequence[SceneDescription], encoder: Encoder) -> list[Embedding]:
    """What stands for each description; its words are those of the first view, which says everything."""
    recipe = encoder.recipe
    worded = [passages(description, recipe.wording) for description in descriptions]
    encoded = encoder.encode_documents([passage.text for views in worded for passage in views])
    shape = (len(descriptions), recipe.views)
    vectors = encoded.vectors.reshape(*shape, recipe.dimensions)
    truncated = encoded.truncated.reshape(shape)
    said = encoded.words[:: recipe.views] or [np.empty((0, 0), np.float32)] * len(descriptions)
    return [Embedding(vectors[i], pack(words), bool(np.any(truncated[i]))) for i, words in enumerate(said)]

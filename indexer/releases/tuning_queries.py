"""Queries that an index is tuned and measured with: a few words in a row, as the collection's own texts say them.

What is hard for a graph depends on the query: vectors moved by noise are harder than what people ask, whole
descriptions are easier. Short runs of words lie as far from the descriptions as real queries do, a little beyond.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np

from indexer.encoding.encoder import Encoder, Vectors
from scenes.catalog import embeddings
from scenes.catalog.connection import Catalog
from scenes.wording import whole_text

LikelyQueries = Callable[[], Awaitable[Vectors]]
FILE = "queries.f32"
HOW_MANY = 400
_WORDS = (5, 8)
_SEED = 20_260_104
_BATCH = 64


def phrases(texts: Sequence[str], seed: int = _SEED) -> list[str]:
    """One run of five to eight words out of each text, seeded; a shorter text whole, one without words not at all."""
    random = np.random.default_rng(seed)
    runs = []
    for text in texts:
        words = text.split()
        long = min(int(random.integers(_WORDS[0], _WORDS[1] + 1)), len(words))
        start = int(random.integers(0, len(words) - long + 1))
        runs.append(" ".join(words[start : start + long]))
    return [run for run in runs if run]


async def likely(catalog: Catalog, collection_id: int, encoder: Encoder) -> Vectors:
    """Up to `HOW_MANY` phrases of a collection's descriptions, embedded as queries: float32 (n, dim)."""
    async with catalog.reading() as session:
        chosen = await embeddings.some(session, collection_id, HOW_MANY)
    runs = phrases([whole_text(description) for description in chosen])
    batches = [runs[start : start + _BATCH] for start in range(0, len(runs), _BATCH)]
    parts = [encoder.encode_queries(batch).vectors for batch in batches]
    return np.concatenate([np.empty((0, encoder.recipe.dimensions), np.float32), *parts])


def save(queries: Vectors, folder: Path) -> None:
    """Keep them with the release that they tuned."""
    (folder / FILE).write_bytes(queries.astype("<f4").tobytes())


def kept(folder: Path, dimensions: int) -> Vectors | None:
    """Those of a release, float32 (n, dim), None where it was built without."""
    file = folder / FILE
    return np.fromfile(file, "<f4").reshape(-1, dimensions) if file.is_file() else None

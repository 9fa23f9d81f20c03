"""Filtered search over 100,000 images at five selectivities: how long it takes, and that it is what brute force finds.

Real Postgres, a real release; filters on metadata (a range, elsewhere for each query) and on a description field.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recording import record
from indexer.encoding.encoder import Vectors
from indexer.releases.index_reader import Snapshot
from indexer.releases.release import build
from indexer.releases.searcher import Searcher
from indexer.retrieval.filtered import search_filtered
from indexer.vectors.scoring import exact_scores
from scenes.catalog import collections, embeddings, publishing, recipes
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.embeddings import Embedding
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.filtering import parse
from scenes.identity import external_image_id
from scenes.recipe import EncoderRecipe

NAME = "bench_index_filters"
MEASURED = (
    "indexer/retrieval/filtered.py",
    "indexer/releases/index_reader.py",
    "scenes/catalog/filter_sql.py",
    "benchmarks/bench_index_filters.py",
)
SEED, CLUSTERS = 7, 2_000
N, K, A_TRANSACTION, QUERIES = 100_000, 10, 1_000, 60
SHARES = (0.0001, 0.001, 0.01, 0.1, 1.0)
LEAST_RECALL = 0.99
ENCODER = EncoderRecipe(model="bench", weights_digest="0" * 64, wording="whole-1", dimensions=384, max_tokens=256)


def main() -> None:
    """Raises `AssertionError` where an answer is short, holds what does not pass, or is too far from brute force."""
    with tempfile.TemporaryDirectory(prefix="wordsight-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            figures = asyncio.run(_measured(url, Path(folder)))
    record(NAME, figures, measured=MEASURED, seed=SEED)


async def _measured(url: str, home: Path) -> dict[str, Any]:
    vectors, queries = _drawn()
    catalog = Catalog.connect(url)
    collection = await _filled(catalog, vectors)
    release = await build(catalog, collection, ENCODER, home)
    collection = await _collection(catalog)
    snapshot = await Searcher(catalog, ENCODER, home).snapshot(collection)
    cells = [await _cell(catalog, snapshot, vectors, queries, share, kind) for share in SHARES for kind in KINDS]
    plain = [await _timed(lambda q=query: asyncio.to_thread(snapshot.search, q, K)) for query in queries[:QUERIES]]
    await catalog.close()
    return {"images": N, "k": K, "index": release.index_recipe.kind, "unfiltered": _times(plain), "cells": cells}


async def _cell(
    catalog: Catalog, snapshot: Snapshot, vectors: Vectors, queries: Vectors, share: float, kind: str
) -> dict[str, Any]:
    random, width = np.random.default_rng(SEED), round(share * N)
    times, recalls = [], []
    for query in queries[:QUERIES]:
        asked, passing = KINDS[kind](share, width, int(random.integers(0, N - width + 1)))
        started = time.perf_counter()
        done = await search_filtered(catalog, snapshot, query, K, parse(asked))
        times.append(time.perf_counter() - started)
        places = done.found.rows - 1  # rows are numbered from 1 in a fresh database
        assert len(places) == min(K, len(passing)), (kind, share, len(places))
        assert np.isin(places, passing).all(), (kind, share)
        assert done.exists in {None, len(passing)}, (kind, share)
        least = np.sort(exact_scores(vectors[passing], query))[::-1][:K][-1]
        recalls.append(float(np.mean(done.found.scores >= least)))
    cell = {"kind": kind, "share": share, "passing": len(passing), "recall_at_10": float(np.mean(recalls))}
    assert cell["recall_at_10"] >= LEAST_RECALL, cell
    print(cell | _times(times), flush=True)
    return cell | _times(times)


def _drawn() -> tuple[Vectors, Vectors]:
    """N clustered unit vectors and queries between two of them, float32 (n, 384)."""
    random = np.random.default_rng(SEED)
    centres = random.normal(size=(CLUSTERS, ENCODER.dimensions))
    vectors = centres[random.integers(0, CLUSTERS, N)] + random.normal(size=(N, ENCODER.dimensions))
    queries = vectors[random.integers(0, N, QUERIES)] + vectors[random.integers(0, N, QUERIES)]
    return _unit(vectors), _unit(queries)


def _unit(vectors: Any) -> Vectors:
    units: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return units


def _range(_share: float, width: int, low: int) -> tuple[dict[str, Any], Any]:
    return {"metadata.place": {"gte": low, "lt": low + width}}, np.arange(low, low + width)


def _field(share: float, _width: int, _low: int) -> tuple[dict[str, Any], Any]:
    """Images of a place: the first share of all, in a shuffled order; of all places for the share of all."""
    places = [one for one in SHARES if one <= share]
    asked = {"description.setting.place": {"in": [_place(one) for one in places]}}
    return asked, np.flatnonzero(_shares() <= share)


def _says(share: float, _width: int, _low: int) -> tuple[dict[str, Any], Any]:
    """The same images by a word that their text says, found by the lexical index."""
    return {"description": {"says": _word(share)}}, np.flatnonzero(_shares() <= share)


KINDS: dict[str, Callable[[float, int, int], tuple[dict[str, Any], Any]]] = {
    "metadata": _range,
    "description": _field,
    "says": _says,
}


def _shares() -> Any:
    """For each image the smallest share that it belongs to."""
    order = np.random.default_rng(SEED + 1).permutation(N)
    return np.array(SHARES)[np.searchsorted(np.array(SHARES) * N, order + 1)]


def _word(share: float) -> str:
    return f"word{SHARES.index(share)}"


def _place(share: float) -> str:
    return f"place {share:g}"


async def _filled(catalog: Catalog, vectors: Vectors) -> CollectionRow:
    shares = _shares()
    async with catalog.writing() as session:
        collection = await collections.create(session, Collection(name="c"))
        encoder = await recipes.remember_encoder(session, ENCODER)
    last = 0
    for start in range(0, N, A_TRANSACTION):
        rows = [_publication(i, shares[i]) for i in range(start, start + A_TRANSACTION)]
        async with catalog.writing() as session:
            await publishing.publish(session, collection.id, rows)
            todo = await embeddings.missing(session, collection.id, encoder, A_TRANSACTION, after=last)
            none = np.empty((0, 1), np.int8)
            stored = [
                (row, Embedding(vectors[start + i : start + i + 1], none, False)) for i, (row, _) in enumerate(todo)
            ]
            await embeddings.store(session, collection.id, encoder, stored)
            last = todo[-1][0]
    return await _collection(catalog)


async def _collection(catalog: Catalog) -> CollectionRow:
    async with catalog.reading() as session:
        return await collections.get(session, "c")


def _publication(i: int, share: float) -> Publication:
    words = " ".join(_word(one) for one in SHARES if one >= share)
    body = SceneDescription.model_validate({"detail": f"image {i} " * 60 + words, "setting": {"place": _place(share)}})
    return Publication(
        external_image_id(str(i)), "external", body, "import", "x", metadata={"place": i, "even": i % 2 == 0}
    )


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def _times(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, [50, 99]) * 1_000
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}

"""What the default ranking costs over plain dense search, end to end in one process, among 100,000 descriptions.

Both services encode the query, search the same release, read images and, the default one, words and probabilities;
nothing is stored. Descriptions are ten captions each of the training file that WORDSIGHT_DATA names; their vectors and
words are drawn again, vectors with noise, until there are enough. Queries are real and asked of both in turn.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.http.security import Secret
from app.search.service import make_service
from benchmarks.recording import ROOT, record
from indexer.encoding.embedding import embed
from indexer.encoding.encoder import Encoded, Encoder
from indexer.encoding.serving import load_encoder
from indexer.releases.release import build
from indexer.retrieval.encoders import Encoders
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.retriever import Retriever
from scenes.answer import Query
from scenes.catalog import collections, embeddings, publishing, recipes
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.embeddings import Embedding
from scenes.catalog.publishing import Publication
from scenes.catalog.searches import StoredSearch
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.identity import external_image_id
from scenes.recipe import EncoderRecipe

NAME = "bench_ranking_cost"
MEASURED = ("app/search", "indexer", "scenes", "benchmarks/bench_ranking_cost.py")
ROWS = int(os.environ.get("BENCH_RANKING_ROWS", "100000"))
TEXTS, QUERIES, WARM, BATCH, SEED = 5_000, 400, 50, 500, 20_261_124
LIKENESS = 0.95
MOST_TIMES_DENSE = 3.0


class Pooled:
    """The same encoder without words: plain dense search."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def recipe(self) -> EncoderRecipe:
        return self._encoder.recipe

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        encoded = self._encoder.encode_queries(texts)
        return Encoded(encoded.vectors, encoded.truncated)

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        return self._encoder.encode_documents(texts)


class Unkept:
    """Stores no search."""

    async def put(self, search: StoredSearch) -> None: ...


def main() -> None:
    """Raises `AssertionError` where the bar is missed, after the figures were recorded."""
    with tempfile.TemporaryDirectory(prefix="wordsight-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            figures = asyncio.run(_measure(url, Path(folder)))
    print(json.dumps(figures, indent=1))
    record(NAME, figures, measured=MEASURED, seed=SEED)
    assert figures["times_dense"] <= MOST_TIMES_DENSE, figures["times_dense"]


async def _measure(url: str, home: Path) -> dict[str, Any]:
    described, asked = _texts()
    catalog = Catalog.connect(url)
    encoder = load_encoder(None, home)
    await _fill(catalog, encoder, described, home)
    secret = Secret.load(home, None)
    dense = make_service(catalog, lambda _name: Pooled(encoder), home, secret, Unkept())
    unranked = Ranking(depth=0)
    encoders = Encoders(catalog, home, lambda _name: Pooled(encoder), unranked)
    dense = replace(dense, retriever=Retriever(catalog, encoders, unranked))
    ranked = make_service(catalog, lambda _name: encoder, home, secret, Unkept())
    took: dict[str, list[float]] = {"dense": [], "ranked": []}
    for query in asked:
        for name, service in (("dense", dense), ("ranked", ranked)):
            started = time.perf_counter()
            await service.search("bench", Query(query=query, k=10))
            took[name].append((time.perf_counter() - started) * 1e3)
    for service in (dense, ranked):
        service.close()
    await catalog.close()
    shown = {name: _percentiles(times[WARM:]) for name, times in took.items()}
    return {
        "rows": ROWS,
        "milliseconds": shown,
        "times_dense": round(shown["ranked"]["p50"] / shown["dense"]["p50"], 3),
        "bar": MOST_TIMES_DENSE,
    }


def _texts() -> tuple[list[str], list[str]]:
    file = Path(os.environ.get("WORDSIGHT_DATA", ROOT / "data")) / "captions-train.jsonl"
    captions = [json.loads(line)["captions"] for line in file.read_text().splitlines()]
    dice = np.random.default_rng(SEED)
    pairs = [dice.choice(len(captions), 2, replace=False) for _ in range(TEXTS)]
    described = [" ".join([*captions[one], *captions[other]]) for one, other in pairs]
    asked = [captions[place][0] for place in dice.permutation(len(captions))[: QUERIES + WARM]]
    return described, asked


async def _fill(catalog: Catalog, encoder: Encoder, texts: Sequence[str], home: Path) -> None:
    said = [SceneDescription.from_text(text) for text in texts]
    stands = [one for start in range(0, TEXTS, BATCH) for one in embed(said[start : start + BATCH], encoder)]
    async with catalog.writing() as session:
        collection = await collections.create(session, Collection(name="bench"))
        fingerprint = await recipes.remember_encoder(session, encoder.recipe)
    dice = np.random.default_rng(SEED)
    for start in range(0, ROWS, BATCH):
        rows = [
            Publication(external_image_id(str(n)), "external", said[n % TEXTS], "import", str(n))
            for n in range(start, min(ROWS, start + BATCH))
        ]
        async with catalog.writing() as session:
            await publishing.publish(session, collection.id, rows)
        async with catalog.reading() as session:
            todo = [number for number, _ in await embeddings.missing(session, collection.id, fingerprint, BATCH)]
        drawn = [(number, _redrawn(stands[dice.integers(TEXTS)], dice)) for number in todo]
        async with catalog.writing() as session:
            await embeddings.store(session, collection.id, fingerprint, drawn)
    async with catalog.reading() as session:
        collection = await collections.get(session, "bench")
    await build(catalog, collection, encoder.recipe, home)


def _redrawn(one: Embedding, dice: np.random.Generator) -> Embedding:
    noise = dice.normal(size=one.vectors.shape)
    noise *= np.sqrt(1 - LIKENESS**2) / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = LIKENESS * one.vectors + noise
    return Embedding(
        (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32), one.words, one.truncated
    )


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(times, share)), 3) for share in (50, 95, 99)}


if __name__ == "__main__":
    main()

"""Filtered search gives what brute force over the passing images gives, from one image in ten thousand to all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.releases.index_reader import Snapshot
from indexer.releases.release import build
from indexer.releases.searcher import Searcher
from indexer.retrieval.filtered import search_filtered
from indexer.vectors.scoring import exact_scores
from scenes.catalog import collections, embeddings, publishing, recipes
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.embeddings import Embedding
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.filtering import parse
from scenes.identity import external_image_id
from scenes.recipe import EncoderRecipe, IndexRecipe

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]

N = 10_000
SELECTIVITIES = (0.0001, 0.001, 0.01, 0.1, 1.0)
ENCODER = EncoderRecipe(model="random", weights_digest="0" * 64, wording="whole-1", dimensions=16, max_tokens=9)


async def filled(catalog: Catalog, vectors: "np.ndarray[Any, np.dtype[np.float32]]") -> CollectionRow:
    """N images with `metadata.place`, 0 to N − 1, in the order of their rows."""
    async with catalog.writing() as session:
        collection = await collections.create(session, Collection(name="c"))
        fingerprint = await recipes.remember_encoder(session, ENCODER)
        for start in range(0, N, 2_000):
            rows = [
                Publication(
                    external_image_id(str(i)),
                    "external",
                    SceneDescription(detail="x"),
                    "import",
                    "x",
                    metadata={"place": i, "even": i % 2 == 0},
                )
                for i in range(start, start + 2_000)
            ]
            await publishing.publish(session, collection.id, rows)
        todo = await embeddings.missing(session, collection.id, fingerprint, N)
        words = np.empty((0, 1), np.int8)
        stored = [(row, Embedding(vectors[i : i + 1], words, False)) for i, (row, _) in enumerate(todo)]
        await embeddings.store(session, collection.id, fingerprint, stored)
    async with catalog.reading() as session:
        return await collections.get(session, "c")


def unit(vectors: Any) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


async def test_filtered_search_is_brute_force_over_what_passes(catalog: Catalog, home: Path) -> None:
    random = np.random.default_rng(6)
    vectors = unit(random.normal(size=(N, 16)))
    collection = await filled(catalog, vectors)
    for kind in (IndexRecipe(kind="exact"), IndexRecipe(kind="ivf-sq8", parameters={"size": 64})):
        await build(catalog, collection, ENCODER, home, kind)
        async with catalog.reading() as session:
            collection = await collections.get(session, "c")
        snapshot = await Searcher(catalog, ENCODER, home).snapshot(collection)
        for share in SELECTIVITIES:
            recall = [await recall_of(catalog, snapshot, vectors, share, random) for _ in range(6)]
            assert np.mean(recall) >= (1.0 if kind.kind == "exact" else 0.99), (kind.kind, share)


async def recall_of(
    catalog: Catalog, snapshot: Snapshot, vectors: Any, share: float, random: np.random.Generator
) -> float:
    """One random filter and query; the filter's images are near the query, far from it or anywhere."""
    width = max(1, int(share * N))
    low = int(random.integers(0, N - width + 1))
    asked = parse({"metadata.place": {"gte": low, "lt": low + width}})
    passing = np.arange(low, low + width)
    towards = float(random.choice([-1.0, 0.0, 1.0]))
    query = unit((random.normal(size=16) + towards * 4 * vectors[passing[:50]].mean(axis=0))[None, :])[0]
    listed = int(random.choice([100, 2_000, N]))
    done = await search_filtered(catalog, snapshot, query, 10, asked, listed=listed)
    assert len(done.found.rows) == min(10, width)
    assert done.exists in {None, width}
    assert done.exists == width or len(done.found.rows) == 10
    places = done.found.rows - 1  # rows are numbered from 1 in a fresh database
    assert np.isin(places, passing).all()
    right = np.sort(exact_scores(vectors[passing], query))[::-1][:10]
    return float(np.mean(done.found.scores >= right[-1]))

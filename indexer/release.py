"""Index releases: built beside, verified against exact search, flipped in one transaction, the last one kept."""

import asyncio
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.exact_index import ExactIndex
from indexer.faiss_index import FaissIndex
from indexer.vector_index import Ids, VectorIndex
from scenes.artifact import MANIFEST, Manifest, file_sha256, verify_folder, write_folder
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.releases import Release
from scenes.errors import Corrupt
from scenes.recipe import EncoderRecipe, IndexRecipe

KIND = "index-release"
PROMISED_RECALL = 0.99
_SAMPLE = 200
_SEED = 20_260_101
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Material:
    """What a release is built from: vector ids int64 (n × views,), vectors float32 (n × views, dim)."""

    ids: Ids
    vectors: Vectors
    rows: int
    generation: int


async def build(catalog: Catalog, collection: CollectionRow, encoder: EncoderRecipe, home: Path) -> Release:
    """Build, verify and flip a release of all vectors that the collection has under an encoder recipe.

    Raises `Corrupt` (`release_unfit`) where the index does not hold what it promises; the active one stays then.
    """
    async with catalog.writing() as turn:
        await collections.hold_for_build(turn, collection.id)
        return await _build(catalog, collection, encoder, home)


async def _build(catalog: Catalog, collection: CollectionRow, encoder: EncoderRecipe, home: Path) -> Release:
    material = await gather(catalog, collection.id, encoder)
    recipe = IndexRecipe(kind="exact")
    release_id = uuid.uuid4()
    folder = f"{collection.id}/{release_id}"
    manifest = await asyncio.to_thread(_write, releases_folder(home) / folder, material, recipe, encoder)
    release = Release(
        id=release_id,
        collection_id=collection.id,
        encoder=encoder.fingerprint(),
        index_recipe=recipe,
        generation=material.generation,
        rows=material.rows,
        folder=folder,
        manifest_sha256=file_sha256(releases_folder(home) / folder / MANIFEST),
        recall_at_10=manifest.facts["recall_at_10"],
        created_at=datetime.now(UTC),
    )
    async with catalog.writing() as session:
        await releases.add(session, release)
        await releases.flip(session, collection.id, release_id)
        await collections.notify(session, collection.id, material.generation)
    await prune(catalog, collection.id, home)
    return release


async def gather(catalog: Catalog, collection_id: int, encoder: EncoderRecipe) -> Material:
    """All vectors of a collection. What changes while they are read is above `generation`: the delta has it."""
    ids, vectors, rows = [], [], 0
    async with catalog.reading() as session:
        generation = await collections.generation(session, collection_id)
        async for batch in embeddings.stream(session, collection_id, encoder.fingerprint(), encoder.dimensions):
            ids.append(vector_ids(batch.rows, encoder.views))
            vectors.append(batch.vectors.reshape(-1, encoder.dimensions))
            rows += len(batch.rows)
    empty = np.empty((0, encoder.dimensions), np.float32)
    return Material(np.concatenate([*ids, np.empty(0, np.int64)]), np.concatenate([*vectors, empty]), rows, generation)


def vector_ids(rows: NDArray[np.int64], views: int) -> Ids:
    """Ids of all views of images, int64 (n × views,): row × views + view."""
    ids: Ids = (rows[:, None] * views + np.arange(views)).reshape(-1)
    return ids


def open_release(release: Release, home: Path) -> FaissIndex:
    """The index of a release, its files verified first. Raises `Corrupt`."""
    folder = releases_folder(home) / release.folder
    verify_folder(folder, KIND)
    if file_sha256(folder / MANIFEST) != release.manifest_sha256:
        raise Corrupt("release_foreign", f"{folder} is not the release that the catalog names", fix="index build")
    return FaissIndex.load(folder)


async def prune(catalog: Catalog, collection_id: int, home: Path) -> None:
    """Remove the folders of all releases but the active and the previous one."""
    async with catalog.reading() as session:
        row = await collections.by_id(session, collection_id)
    kept = {str(release) for release in (row.active_release, row.previous_release) if release}
    parent = releases_folder(home) / str(collection_id)
    for folder in [path for path in parent.iterdir() if path.name not in kept] if parent.is_dir() else []:
        await asyncio.to_thread(shutil.rmtree, folder, True)


def releases_folder(home: Path) -> Path:
    return home / "releases"


def _write(folder: Path, material: Material, recipe: IndexRecipe, encoder: EncoderRecipe) -> Manifest:
    index = FaissIndex.build(material.vectors, material.ids, recipe)
    facts = _verified(index, material, encoder)
    return write_folder(folder, KIND, facts, index.save)


def _verified(index: FaissIndex, material: Material, encoder: EncoderRecipe) -> dict[str, Any]:
    recall, itself = _measured(index, material)
    fits = index.count == len(material.ids) and index.dimensions == encoder.dimensions
    if not fits or (recall is not None and (recall < PROMISED_RECALL or itself < PROMISED_RECALL)):
        raise Corrupt("release_unfit", f"the built index holds {index.count} vectors at recall@10 {recall}")
    return {
        "rows": material.rows,
        "vectors": index.count,
        "dimensions": index.dimensions,
        "views": encoder.views,
        "encoder": encoder.fingerprint(),
        "generation": material.generation,
        "recall_at_10": recall,
        "self_retrieval": itself,
    }


def _measured(index: VectorIndex, material: Material) -> tuple[float | None, float]:
    """Recall@10 against exact search and the share of vectors that find themselves, over a seeded sample."""
    if not len(material.ids):
        return None, 1.0
    chosen = np.random.default_rng(_SEED).permutation(len(material.ids))[:_SAMPLE]
    queries = material.vectors[chosen]
    exact = ExactIndex(material.vectors, material.ids).search(queries, 10)
    found = index.search(queries, 10)
    good = [int(np.sum(f.scores >= e.scores[-1] - _ROUNDING)) for e, f in zip(exact, found, strict=True)]
    itself = [hits.scores[0] >= float(query @ query) - _ROUNDING for hits, query in zip(found, queries, strict=True)]
    return sum(good) / sum(len(e.ids) for e in exact), float(np.mean(itself))

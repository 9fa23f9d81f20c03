"""Index releases: built beside, verified against exact search, flipped in one transaction, the last one kept."""

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.encoding.encoder import Vectors
from indexer.releases import tuning_queries
from indexer.releases.export import Gathered, gather
from indexer.releases.tuning_queries import LikelyQueries
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import FaissIndex
from indexer.vectors.measuring import finding_itself, made_up, measured, sample
from indexer.vectors.tuning import PROMISED_RECALL, make, plan
from indexer.vectors.vector_store import VectorStore
from scenes.artifact import MANIFEST, Manifest, file_sha256, verify_folder, write_folder
from scenes.catalog import collections, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.releases import Release
from scenes.errors import Conflict, Corrupt, EnvironmentMissing
from scenes.host.private_files import make_folder
from scenes.recipe import EncoderRecipe, IndexRecipe

KIND = "index-release"
_SAMPLE = 200
_SEED = 20_260_103


async def build(
    catalog: Catalog,
    collection: CollectionRow,
    encoder: EncoderRecipe,
    home: Path,
    kind: IndexRecipe | None = None,
    queries: LikelyQueries | None = None,
    *,
    candidate: bool = False,
) -> Release:
    """Build, verify and flip a release of all vectors that the collection has under an encoder recipe.

    The kind of index is chosen by their number, unless given; one that is tuned is tuned with `queries`. A `candidate`
    of another encoder is not flipped to. Raises `Corrupt` (`release_unfit`) where the index does not hold what it
    promises, `EnvironmentMissing` (`release_unwritable`) where the disk is full or closed, `Conflict`
    (`encoder_changed`) where the collection answers with another encoder by now; the active release stays then.
    """
    async with catalog.writing() as turn:
        await collections.hold_for_build(turn, collection.id)
        now = await collections.by_id(turn, collection.id)
        if not candidate and now.settings.encoder != collection.settings.encoder:
            raise Conflict("encoder_changed", "the collection's encoder changed meanwhile", fix="build again")
        async with catalog.writing() as session:
            await collections.count_anew(session)
        with _told_plainly(home):
            return await _build(catalog, collection, encoder, home, kind, queries, candidate)


async def _build(
    catalog: Catalog,
    collection: CollectionRow,
    encoder: EncoderRecipe,
    home: Path,
    kind: IndexRecipe | None,
    queries: LikelyQueries | None,
    candidate: bool,
) -> Release:
    release_id = uuid.uuid4()
    folder = releases_folder(home) / str(collection.id) / str(release_id)
    with _beside(folder) as gathering:
        gathered = await gather(catalog, collection.id, encoder, gathering)
        recipe = kind or plan(gathered.rows * encoder.views)
        if recipe.kind != "exact" and queries is not None:
            tuning_queries.save(await queries(), gathering)
        recipe, manifest = await asyncio.to_thread(_write, folder, gathering, gathered, encoder, recipe)
    release = Release(
        id=release_id,
        collection_id=collection.id,
        encoder=encoder.fingerprint(),
        index_recipe=recipe,
        generation=gathered.generation,
        rows=gathered.rows,
        folder=f"{collection.id}/{release_id}",
        manifest_sha256=file_sha256(folder / MANIFEST),
        recall_at_10=manifest.facts["recall_at_10"],
        created_at=datetime.now(UTC),
        encoder_name=collection.settings.encoder,
    )
    async with catalog.writing() as session:
        await releases.add(session, release)
        await (releases.propose if candidate else releases.flip)(session, collection.id, release_id)
        await collections.notify(session, collection.id, gathered.generation)
    await prune(catalog, collection.id, home)
    return release


def open_release(release: Release, home: Path) -> ExactIndex | FaissIndex:
    """The index of a release, its files verified first. Raises `Corrupt`."""
    folder = releases_folder(home) / release.folder
    verify_folder(folder, KIND)
    if file_sha256(folder / MANIFEST) != release.manifest_sha256:
        raise Corrupt("release_foreign", f"{folder} is not the release that the catalog names", fix="index build")
    kind = ExactIndex if release.index_recipe.kind == "exact" else FaissIndex
    return kind.load(folder)


async def prune(catalog: Catalog, collection_id: int, home: Path) -> list[str]:
    """Remove the folders of all releases but the active, the previous and the candidate; returns their names.

    Only a builder whose turn it is may do this: what another one builds would go too.
    """
    async with catalog.reading() as session:
        row = await collections.by_id(session, collection_id)
    kept = {str(release) for release in row.releases}
    parent = releases_folder(home) / str(collection_id)
    strays = [path for path in parent.iterdir() if path.name not in kept] if parent.is_dir() else []
    for folder in strays:
        await asyncio.to_thread(shutil.rmtree, folder, True)
    return [path.name for path in strays]


def releases_folder(home: Path) -> Path:
    return home / "releases"


def _write(
    folder: Path, gathering: Path, gathered: Gathered, encoder: EncoderRecipe, recipe: IndexRecipe
) -> tuple[IndexRecipe, Manifest]:
    facts: dict[str, Any] = {}

    def fill(beside: Path) -> None:
        nonlocal recipe
        for file in gathering.iterdir():
            file.rename(beside / file.name)
        store = VectorStore.open(beside)
        queries = tuning_queries.kept(beside, encoder.dimensions)
        index = make(store, recipe, queries)
        recipe = index.recipe
        index.save_lists(beside)
        facts.update(_verified(index, store, queries, gathered, encoder) | {"index": recipe.model_dump()})

    manifest = write_folder(folder, KIND, facts, fill)
    return recipe, manifest


def _verified(
    index: ExactIndex | FaissIndex,
    store: VectorStore,
    queries: Vectors | None,
    gathered: Gathered,
    encoder: EncoderRecipe,
) -> dict[str, Any]:
    found = promised_recall(index, store, queries)
    itself = finding_itself(index, sample(store, _SAMPLE, _SEED))
    fits = index.count == gathered.rows * encoder.views and index.dimensions == encoder.dimensions
    if not fits or itself < PROMISED_RECALL or (found is not None and found < PROMISED_RECALL):
        raise Corrupt("release_unfit", f"the built index holds {index.count} vectors at recall@10 {found}")
    return {
        "rows": gathered.rows,
        "vectors": index.count,
        "dimensions": index.dimensions,
        "views": encoder.views,
        "encoder": encoder.fingerprint(),
        "generation": gathered.generation,
        "recall_at_10": found,
        "self_retrieval": itself,
    }


def promised_recall(index: ExactIndex | FaissIndex, store: VectorStore, queries: Vectors | None) -> float | None:
    """Recall@10 for the half of a release's queries that it was not tuned with, None of an empty index."""
    asked = made_up(store) if queries is None or not len(queries) else queries
    return measured(index, store, asked[1::2])


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder for what is gathered, gone again at the end; what a kill leaves is pruned by the next build."""
    gathering = folder.with_name(f".{folder.name}.gathering")
    make_folder(gathering)
    try:
        yield gathering
    finally:
        shutil.rmtree(gathering, ignore_errors=True)


@contextmanager
def _told_plainly(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentMissing(
            "release_unwritable",
            f"no release could be written below {releases_folder(home)}: {error.strerror or error}",
            fix="make room, or set WORDSIGHT_HOME to a larger disk; the active release still answers",
        ) from error

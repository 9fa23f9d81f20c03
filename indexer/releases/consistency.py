"""Every way in which an index can differ from Postgres, found by looking at all of it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexer.releases.release import open_release, promised_recall, releases_folder
from indexer.releases.tuning_queries import kept
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import FaissIndex
from indexer.vectors.tuning import PROMISED_RECALL
from indexer.vectors.vector_index import image_rows
from scenes.artifact import MANIFEST
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog, ReadSession
from scenes.catalog.embeddings import Vectored
from scenes.catalog.releases import Release
from scenes.errors import Corrupt
from scenes.recipe import EncoderRecipe

Kind = Literal[
    "release_lost",
    "release_altered",
    "release_unknown",
    "release_of_another_encoder",
    "release_ahead",
    "recall_below_promise",
    "previous_damaged",
    "stray_folder",
    "missing",
    "extra",
    "stale",
    "invalid",
    "unembedded",
]
"""What is wrong, from the files to the single image."""
REBUILT = frozenset(
    {
        "release_lost",
        "release_altered",
        "release_unknown",
        "release_of_another_encoder",
        "release_ahead",
        "recall_below_promise",
        "missing",
        "extra",
        "stale",
    }
)
"""The kinds that a new release mends."""
_EXAMPLES = 5
_UNIT = 1e-3


@dataclass(frozen=True, slots=True)
class Drift:
    """One kind of difference, how many there are of it, and what is known of the first ones."""

    kind: Kind
    count: int
    detail: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and every difference found; `recall_at_10` was measured just now."""

    release: Release | None
    rows: int
    recall_at_10: float | None
    drift: tuple[Drift, ...]


@dataclass(slots=True)
class _Seen:
    """Rows by what is wrong with them, and all rows that Postgres has."""

    rows: list[NDArray[np.int64]] = field(default_factory=list)
    wrong: dict[Kind, list[int]] = field(default_factory=dict)

    def add(self, kind: Kind, rows: Iterable[int]) -> None:
        self.wrong.setdefault(kind, []).extend(rows)


async def verify(catalog: Catalog, collection: CollectionRow, encoder: EncoderRecipe, home: Path) -> Report:
    """Compare the active release with Postgres, vector by vector, while no builder is at work.

    Raises `EnvironmentMissing` where Postgres does not answer; a release that can't be read is drift, not an error.
    """
    async with catalog.writing() as turn:
        await collections.hold_for_build(turn, collection.id)
        async with catalog.consistent() as session:
            row = await collections.by_id(session, collection.id)
            release = await releases.active(session, row.id)
            index, found = await _opened(row, release, encoder, home)
            found += await _previous(session, row, home) + _strays(row, home)
            seen = await _compared(session, row, release, index, encoder)
            seen.add("unembedded", await embeddings.unembedded(session, row.id, encoder.fingerprint()))
    recall = None
    if index is not None and release is not None:
        asked = kept(releases_folder(home) / release.folder, index.dimensions)
        recall = await asyncio.to_thread(promised_recall, index, index.store, asked)
    if recall is not None and recall < PROMISED_RECALL:
        found.append(Drift("recall_below_promise", 1, f"recall@10 is {recall:.4f}, promised is {PROMISED_RECALL}"))
    found += [_told(kind, rows) for kind, rows in seen.wrong.items() if rows]
    return Report(release, sum(len(rows) for rows in seen.rows), recall, tuple(found))


async def _opened(
    row: CollectionRow, release: Release | None, encoder: EncoderRecipe, home: Path
) -> tuple[ExactIndex | FaissIndex | None, list[Drift]]:
    if release is None:
        lost = row.active_release is not None
        return None, [Drift("release_unknown", 1, f"no release {row.active_release}")] if lost else []
    if release.encoder != encoder.fingerprint():
        return None, [Drift("release_of_another_encoder", 1, f"encoder {release.encoder[:12]}")]
    ahead = f"release at generation {release.generation}, Postgres at {row.generation}"
    found = [Drift("release_ahead", 1, ahead)] if release.generation > row.generation else []
    try:
        return await asyncio.to_thread(open_release, release, home), found
    except Corrupt as error:
        whole = (releases_folder(home) / release.folder / MANIFEST).is_file()
        return None, [*found, Drift("release_altered" if whole else "release_lost", 1, error.message)]


async def _previous(session: ReadSession, row: CollectionRow, home: Path) -> list[Drift]:
    if row.previous_release is None:
        return []
    previous = await releases.get(session, row.previous_release)
    try:
        if previous is None:
            return [Drift("previous_damaged", 1, f"no release {row.previous_release}")]
        await asyncio.to_thread(open_release, previous, home)
    except Corrupt as error:
        return [Drift("previous_damaged", 1, error.message)]
    return []


def _strays(row: CollectionRow, home: Path) -> list[Drift]:
    kept = {str(release) for release in row.releases}
    parent = releases_folder(home) / str(row.id)
    names = sorted(path.name for path in parent.iterdir() if path.name not in kept) if parent.is_dir() else []
    return [Drift("stray_folder", len(names), ", ".join(names[:_EXAMPLES]))] if names else []


async def _compared(
    session: ReadSession,
    row: CollectionRow,
    release: Release | None,
    index: ExactIndex | FaissIndex | None,
    encoder: EncoderRecipe,
) -> _Seen:
    seen = _Seen()
    settled = release.generation if release is not None else 0
    seen.add("invalid", await embeddings.misshapen(session, row.id, encoder))
    async for batch in embeddings.stream(session, row.id, encoder):
        seen.rows.append(batch.rows)
        seen.add("invalid", batch.rows[_is_invalid(batch)].tolist())
        if index is not None:
            _hold_against(index, batch, settled, seen)
    if index is not None:
        gone = await embeddings.removed_since(session, row.id, settled)
        hidden = await embeddings.unsearchable(session, row.id, encoder, above=settled)
        there = np.unique(image_rows(index.store.ids, encoder.views))
        seen.add("extra", np.setdiff1d(there, np.concatenate([*seen.rows, gone, hidden])).tolist())
    return seen


def _hold_against(index: ExactIndex | FaissIndex, batch: Vectored, settled: int, seen: _Seen) -> None:
    """What is newer than the release is answered from beside it and need not be in it."""
    old = batch.generations <= settled
    rows, vectors = batch.rows[old], batch.vectors[old]
    ids = (rows[:, None] * vectors.shape[1] + np.arange(vectors.shape[1])).reshape(-1)
    held = index.vectors(ids).reshape(vectors.shape)
    absent = np.any(np.isnan(held), axis=(1, 2))
    seen.add("missing", rows[absent].tolist())
    seen.add("stale", rows[~absent & np.any(held != vectors, axis=(1, 2))].tolist())


def _is_invalid(batch: Vectored) -> NDArray[np.bool_]:
    lengths = np.linalg.norm(batch.vectors, axis=2)
    wrong: NDArray[np.bool_] = ~np.all(np.abs(lengths - 1) < _UNIT, axis=1)
    return wrong


def _told(kind: Kind, rows: list[int]) -> Drift:
    unique = sorted(set(rows))
    first = ", ".join(str(row) for row in unique[:_EXAMPLES])
    return Drift(kind, len(unique), f"image rows {first}{' …' if len(unique) > _EXAMPLES else ''}", tuple(unique))

"""Mend what `verify` finds: Postgres is the truth, so whatever differs from it is made again."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from indexer.encoding.embedding import Tick, embed_missing
from indexer.encoding.encoder import Encoder
from indexer.releases.consistency import REBUILT, Drift, Report, verify
from indexer.releases.release import build, prune
from indexer.releases.tuning_queries import likely
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was found, and what a second look found after mending: nothing, where all could be mended."""

    before: Report
    after: Report

    @property
    def mended(self) -> tuple[Drift, ...]:
        left = {drift.kind for drift in self.after.drift}
        return tuple(drift for drift in self.before.drift if drift.kind not in left)


async def repair(
    catalog: Catalog,
    collection: CollectionRow,
    encoder: Encoder,
    home: Path,
    tick: Tick = lambda _done, _total: None,
) -> Repaired:
    """Find every drift and mend it; searches go on meanwhile. Raises as `build` and `embed_missing` do."""
    before = await verify(catalog, collection, encoder.recipe, home)
    kinds = {drift.kind for drift in before.drift}
    broken = [row for drift in before.drift if drift.kind == "invalid" for row in drift.rows]
    async with catalog.writing() as session:
        await embeddings.drop(session, collection.id, broken, encoder.recipe.fingerprint())
    if kinds & {"invalid", "unembedded"}:
        await embed_missing(catalog, collection.id, encoder, tick)
    if kinds & REBUILT or "invalid" in kinds:
        queries = partial(likely, catalog, collection.id, encoder)
        await build(catalog, collection, encoder.recipe, home, queries=queries)
    await _drop_bad_previous(catalog, collection, encoder, home)
    async with catalog.writing() as turn:
        await collections.hold_for_build(turn, collection.id)
        await prune(catalog, collection.id, home)
    return Repaired(before, await verify(catalog, collection, encoder.recipe, home))


async def _drop_bad_previous(catalog: Catalog, collection: CollectionRow, encoder: Encoder, home: Path) -> None:
    """A release that can't be opened is nothing to roll back to: a build has just made it the previous one."""
    report = await verify(catalog, collection, encoder.recipe, home)
    if any(drift.kind == "previous_damaged" for drift in report.drift):
        async with catalog.writing() as session:
            await releases.forget_previous(session, collection.id)

"""Bring a collection's index up to date: embed what is missing, build a release where the delta has grown."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from indexer.encoding.embedding import Failures, Tick, embed_missing
from indexer.encoding.encoder import Encoder
from indexer.releases.release import build
from indexer.releases.tuning_queries import likely
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.connection import Catalog
from scenes.catalog.releases import Release

DELTA_SHARE = 0.1
"""A release is built anew when more than this share of its rows has changed since,"""
DELTA_MOST = 20_000
"""or so many of them: what changed is scanned by every search, a few milliseconds of it."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How many descriptions were embedded, and the release that is active now."""

    embedded: int
    release: Release | None


async def refresh(
    catalog: Catalog,
    name: str,
    encoder: Encoder,
    home: Path,
    *,
    tick: Tick = lambda _done, _total: None,
    always: bool = False,
    failures: Failures | None = None,
) -> Refreshed:
    """Embed the missing vectors of a collection and build a release if there is none fit, or `always`.

    What the encoder fails on is added to `failures` and skipped.
    """
    async with catalog.reading() as session:
        collection = await collections.get(session, name)
    embedded = await embed_missing(catalog, collection.id, encoder, tick, failures=failures)
    async with catalog.reading() as session:
        release = await releases.active(session, collection.id)
        fit = release is not None and release.encoder == encoder.recipe.fingerprint()
        since = release.generation if fit and release else 0
        stale = await embeddings.count_since(session, collection.id, since)
    if always or not fit or release is None or stale > min(DELTA_SHARE * release.rows, DELTA_MOST):
        queries = partial(likely, catalog, collection.id, encoder)
        release = await build(catalog, collection, encoder.recipe, home, queries=queries)
    return Refreshed(embedded, release)

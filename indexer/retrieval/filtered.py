"""The k best images among those that pass a filter: all of them, or as many as there are.

Few pass: they are listed and only they are scored. Many pass: the best images are asked of Postgres, more and more,
until k of them pass; where that takes too long, because a query's neighbours are not those that pass, all are listed.
"""

import asyncio
from dataclasses import dataclass

import numpy as np

from indexer.encoding.encoder import Vectors
from indexer.releases.index_reader import Found, Snapshot
from scenes.catalog import filter_sql
from scenes.catalog.connection import Catalog
from scenes.filtering import Filter

LISTED = 20_000
"""So many passing images or fewer are listed and scored; so many neighbours at most are asked for one by one."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What was found; `exists` is how many images pass, None where that was not counted because k were found."""

    found: Found
    exists: int | None


async def search_filtered(
    catalog: Catalog, snapshot: Snapshot, query: Vectors, k: int, asked: Filter, *, listed: int = LISTED
) -> Filtered:
    """The k best images, for float32 (dim,), that pass now. Raises `EnvironmentMissing` where Postgres is away."""
    async with catalog.reading() as session:
        rows = await filter_sql.passing(session, snapshot.collection_id, asked, limit=listed + 1)
        if len(rows) <= listed:
            return Filtered(await asyncio.to_thread(snapshot.search, query, k, rows), len(rows))
        wanted = 4 * k
        while wanted <= listed:
            found = await asyncio.to_thread(snapshot.search, query, wanted)
            good = await filter_sql.passing(session, snapshot.collection_id, asked, among=found.rows)
            kept = np.isin(found.rows, good)
            if int(np.sum(kept)) >= k:
                return Filtered(Found(found.rows[kept][:k], found.scores[kept][:k]), None)
            wanted *= 4
        rows = await filter_sql.passing(session, snapshot.collection_id, asked)
    return Filtered(await asyncio.to_thread(snapshot.search, query, k, rows), len(rows))

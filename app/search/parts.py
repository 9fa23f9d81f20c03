"""Search of some fields: an image is scored by what its description says there, and by nothing else.

Each part is worded, embedded and ranked as a whole description is. Of few images all parts are; of many only those of
candidates, which the nearest whole descriptions and the words said in the fields name: both bounds are told by
`exists`, a number only where every image was looked at.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import numpy as np

from app.search.engines import Engine
from app.search.evidence import content_words
from app.search.known_parts import KnownParts, Parts, within
from indexer.encoding.micro_batch import EncodedQuery
from indexer.releases.index_reader import Found, Snapshot
from indexer.retrieval.filtered import search_filtered
from indexer.retrieval.late_interaction import Packed, Said
from indexer.retrieval.ranking import Ranking
from indexer.vectors.scoring import exact_scores, ranked
from scenes.catalog import field_search, filter_sql
from scenes.catalog.connection import Catalog
from scenes.filtering import Filter

_MOST_SAYING = 2_000
_MOST_STEMS = 32


@dataclass(frozen=True, slots=True)
class PartBounds:
    """What one search of fields may cost; work is counted in characters to embed (`known_parts.Part.work`).

    So many images or fewer are all `listed`, where their parts are no more than `work`: they stay in memory. Among
    more, so many of the `near` ones and of those that say the words are candidates, other ones for every query.
    """

    listed: int = 1_000
    work: int = 300_000
    near: int = 200
    near_work: int = 40_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the fields: where, by which query, and with which filter."""

    collection_id: int
    engine: Engine
    fields: tuple[str, ...]
    query: str
    encoded: EncodedQuery
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class PartsFound:
    """`found` are the images that say something in the fields, best first; `exists` how many there are, None where
    not all were looked at; `words` are what the fields say, by row."""

    found: Found
    words: Mapping[int, Packed]
    exists: int | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """What images say in the fields; `rows` are theirs, by the ids of their descriptions."""

    rows: Mapping[int, int]
    parts: Parts

    def within(self, work: int) -> "_Read":
        return _Read(self.rows, within(self.parts, work))


class PartSearch:
    """Finds images by parts of their descriptions."""

    def __init__(self, catalog: Catalog, ranking: Ranking, bounds: PartBounds = PartBounds()) -> None:
        self._catalog = catalog
        self._ranking = ranking
        self._bounds = bounds
        self._known = KnownParts(catalog)

    async def search(self, asked: Asked, snapshot: Snapshot) -> PartsFound:
        """The images that fit best. Raises `Overloaded` (`fields_busy`), `EnvironmentMissing`."""
        listed = await self._listed(asked)
        if listed is not None:
            every = await self._read(asked, listed)
            if len(every.within(self._bounds.work).parts) == len(every.parts):
                return replace(await self._ranked(asked, every), exists=len(every.parts))
        candidates = await self._read(asked, await self._candidates(asked, snapshot))
        return await self._ranked(asked, candidates.within(self._bounds.near_work))

    async def alone(self, asked: Asked, row: int) -> PartsFound:
        """One image with its score; nothing where it says nothing in the fields."""
        return await self._ranked(asked, await self._read(asked, [row]))

    async def _listed(self, asked: Asked) -> list[int] | None:
        """Rows of all images that pass, None where they are too many."""
        most = self._bounds.listed + 1
        async with self._catalog.reading() as session:
            if asked.filter is None:
                rows = await field_search.first_rows(session, asked.collection_id, most)
            else:
                rows = await filter_sql.passing(session, asked.collection_id, asked.filter, limit=most)
        return rows.tolist() if len(rows) < most else None

    async def _candidates(self, asked: Asked, snapshot: Snapshot) -> list[int]:
        """Rows in turn of those that say the words and of the nearest."""
        saying, near = await self._saying(asked), await self._near(asked, snapshot)
        return list(dict.fromkeys(row for row in chain(*zip_longest(saying, near)) if row is not None))

    async def _saying(self, asked: Asked) -> list[int]:
        stems = sorted(content_words(asked.query), key=lambda stem: (-len(stem), stem))[:_MOST_STEMS]
        most = self._bounds.near if asked.filter is None else _MOST_SAYING
        async with self._catalog.reading() as session:
            rows = await field_search.saying(session, asked.collection_id, stems, asked.fields, most)
            if asked.filter is not None:
                among = np.array(rows, np.int64)
                good = set((await filter_sql.passing(session, asked.collection_id, asked.filter, among=among)).tolist())
                rows = [row for row in rows if row in good]
        return rows[: self._bounds.near]

    async def _near(self, asked: Asked, snapshot: Snapshot) -> list[int]:
        if asked.filter is None:
            found = await asyncio.to_thread(snapshot.search, asked.encoded.vector, self._bounds.near)
        else:
            found = (
                await search_filtered(self._catalog, snapshot, asked.encoded.vector, self._bounds.near, asked.filter)
            ).found
        return list(found.rows.tolist())

    async def _read(self, asked: Asked, rows: Sequence[int]) -> _Read:
        """What these images say in the fields; an image that says nothing there is left out."""
        async with self._catalog.reading() as session:
            described = await field_search.described(session, asked.collection_id, rows)
        read = await self._known.read(asked.engine.documents, asked.fields, list(described))
        return _Read(described, {one: what for one, what in read.items() if what.text})

    async def _ranked(self, asked: Asked, read: _Read) -> PartsFound:
        embedded = await self._known.embedded(asked.engine.documents, asked.fields, read.parts)
        return await asyncio.to_thread(self._rank, asked.encoded, read.rows, embedded)

    def _rank(self, query: EncodedQuery, rows: Mapping[int, int], embedded: Parts) -> PartsFound:
        there = {rows[one]: read.embedding for one, read in embedded.items() if read.embedding is not None}
        if not there:
            return PartsFound(Found(np.empty(0, np.int64), np.empty(0, np.float32)), {})
        vectors = np.stack([one.vectors for one in there.values()])
        flat = exact_scores(vectors.reshape(-1, vectors.shape[2]), query.vector)
        best = np.max(flat.reshape(len(there), -1), axis=1)
        order = ranked(np.array(list(there), np.int64), best)
        found = Found(np.array(list(there), np.int64)[order], best[order])
        words = {row: one.words for row, one in there.items()}
        return PartsFound(self._ranking.ranked(found, query.words, Said.at(words, found.rows)), words)

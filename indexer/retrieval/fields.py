"""Search of some fields: an image is scored by what its description says there, and by nothing else.

Each part is worded, embedded and ranked as a whole description is. Of few images all parts are; of many only those of
candidates, which are the nearest whole descriptions and those that say the words in the fields. `exists` is a number
only where every image was looked at.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import numpy as np

from indexer.retrieval.encoders import Place
from indexer.retrieval.field_cache import FieldCache, Parts, within
from indexer.retrieval.filtered import search_filtered
from indexer.retrieval.memory import InMemory
from indexer.retrieval.page import Page
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.request import Outcome, SearchRequest
from indexer.retrieval.search_batch import EncodedQuery, search
from scenes.catalog import field_search, filter_sql
from scenes.catalog.connection import Catalog
from scenes.content_words import content_words

_MOST_SAYING = 2_000
_MOST_STEMS = 32


@dataclass(frozen=True, slots=True)
class FieldBounds:
    """What one search of fields may cost; work is counted in characters to embed (`field_cache.Part.work`).

    So many images or fewer are all `listed`, where their parts are no more than `work`: they stay in memory. Among
    more, so many of the `near` ones and of those that say the words are candidates, other ones for every query.
    """

    listed: int = 1_000
    work: int = 300_000
    near: int = 200
    near_work: int = 40_000


@dataclass(frozen=True, slots=True)
class FieldsFound:
    """`outcome` has the images that say something in the fields, best first, and `said` what they say there."""

    outcome: Outcome
    said: InMemory


@dataclass(frozen=True, slots=True)
class _Read:
    """What images say in the fields; `rows` are theirs, by the ids of their descriptions."""

    rows: Mapping[int, int]
    parts: Parts

    def within(self, work: int) -> "_Read":
        return _Read(self.rows, within(self.parts, work))


class FieldSearch:
    """Finds images by some fields of their descriptions."""

    def __init__(self, catalog: Catalog, ranking: Ranking, bounds: FieldBounds) -> None:
        self._catalog = catalog
        self._ranking = ranking
        self._bounds = bounds
        self._cache = FieldCache(catalog)

    async def search(self, place: Place, request: SearchRequest, encoded: EncodedQuery) -> FieldsFound:
        """The images that fit best. Raises `Overloaded` (`fields_busy`), `EnvironmentMissing`."""
        listed = await self._listed(place, request)
        if listed is not None:
            every = await self._read(place, request, listed)
            if len(every.within(self._bounds.work).parts) == len(every.parts):
                found = await self._ranked(place, request, encoded, every)
                return replace(found, outcome=replace(found.outcome, exists=len(every.parts)))
        candidates = await self._read(place, request, await self._candidates(place, request, encoded))
        return await self._ranked(place, request, encoded, candidates.within(self._bounds.near_work))

    async def alone(self, place: Place, request: SearchRequest, encoded: EncodedQuery, row: int) -> FieldsFound:
        """One image with its score; nothing where it says nothing in the fields."""
        return await self._ranked(place, request, encoded, await self._read(place, request, [row]))

    async def _listed(self, place: Place, request: SearchRequest) -> list[int] | None:
        """Rows of all images that pass the filter, None where they are too many."""
        most = self._bounds.listed + 1
        async with self._catalog.reading() as session:
            if request.filter is None:
                rows = await field_search.first_rows(session, place.collection.id, most)
            else:
                rows = await filter_sql.passing(session, place.collection.id, request.filter, limit=most)
        return rows.tolist() if len(rows) < most else None

    async def _candidates(self, place: Place, request: SearchRequest, encoded: EncodedQuery) -> list[int]:
        """Rows in turn of those that say the words and of the nearest."""
        saying, near = await self._saying(place, request), await self._near(place, request, encoded)
        return list(dict.fromkeys(row for row in chain(*zip_longest(saying, near)) if row is not None))

    async def _saying(self, place: Place, request: SearchRequest) -> list[int]:
        stems = sorted(content_words(request.query), key=lambda stem: (-len(stem), stem))[:_MOST_STEMS]
        most = self._bounds.near if request.filter is None else _MOST_SAYING
        number, fields = place.collection.id, request.fields or ()
        async with self._catalog.reading() as session:
            rows = await field_search.saying(session, number, stems, fields, most)
            if request.filter is not None:
                among = np.array(rows, np.int64)
                good = set((await filter_sql.passing(session, number, request.filter, among=among)).tolist())
                rows = [row for row in rows if row in good]
        return rows[: self._bounds.near]

    async def _near(self, place: Place, request: SearchRequest, encoded: EncodedQuery) -> list[int]:
        near = self._bounds.near
        if request.filter is None:
            found = await asyncio.to_thread(place.reader.search, encoded.vector, near)
        else:
            found = (await search_filtered(self._catalog, place.reader, encoded.vector, near, request.filter)).found
        return list(found.rows.tolist())

    async def _read(self, place: Place, request: SearchRequest, rows: Sequence[int]) -> _Read:
        """What these images say in the fields; an image that says nothing there is left out."""
        async with self._catalog.reading() as session:
            described = await field_search.described(session, place.collection.id, rows)
        read = await self._cache.read(place.encoder.encoder, request.fields or (), list(described))
        return _Read(described, {one: what for one, what in read.items() if what.text})

    async def _ranked(self, place: Place, request: SearchRequest, encoded: EncodedQuery, read: _Read) -> FieldsFound:
        embedded = await self._cache.embedded(place.encoder.encoder, request.fields or (), read.parts)
        return await asyncio.to_thread(self._rank, place, encoded, read.rows, embedded)

    def _rank(self, place: Place, query: EncodedQuery, rows: Mapping[int, int], embedded: Parts) -> FieldsFound:
        there = {rows[one]: read.embedding for one, read in embedded.items() if read.embedding is not None}
        recipe = place.encoder.encoder.recipe
        shape = (len(there), recipe.views, recipe.dimensions)
        vectors = np.array([one.vectors for one in there.values()], np.float32).reshape(shape)
        source = InMemory.of(np.array(list(there), np.int64), vectors, [one.words for one in there.values()])
        page = Page(0, max(1, len(there)), max(1, len(there)))
        (ranked,) = search(source, self._ranking, page, [query])
        return FieldsFound(Outcome(ranked.found, complete=True), source)

"""Why is an image where it is in an answer, or why is it not there at all?

The image is ranked as a search ranks it, and its score by token vectors is shared out among the phrases of its text.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Spans
from indexer.releases.index_reader import Found
from indexer.retrieval.encoders import Place
from indexer.retrieval.request import SearchRequest, Timings
from indexer.retrieval.retriever import Retriever
from indexer.retrieval.search_batch import EncodedQuery
from indexer.tokens.late_interaction import Packed
from indexer.tokens.token_shares import word_shares
from scenes.answer import MAX_K
from scenes.catalog import field_search
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog

_FIRST = 10
_NOWHERE: Spans = np.empty((0, 2), np.int32)
Owners = NDArray[np.int16]
"""int16 (t,): for each token of a text the place of its phrase, −1 for a token between phrases."""


@dataclass(frozen=True, slots=True)
class Document:
    """The image that is explained: its row, its current description's id, the `text` that is embedded of it, and where
    the phrases of that text begin and end, int32 (p, 2), in order."""

    row: int
    description_id: int
    text: str
    phrases: Spans


@dataclass(frozen=True, slots=True)
class Explained:
    """`rank` counts from 1, None where the image is no candidate; `better_than_last` is its lead over the last of the
    first ten. `shares` are those of the phrases, 0…1, 1 at most together; None where tokens have no vectors, or where
    these are not yet those of the current description."""

    rank: int | None
    score: float | None
    better_than_last: float | None
    shares: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where an image is; `last` is the score of the last of the first ten, None where nothing was found."""

    rank: int | None
    score: float | None
    last: float | None


async def explain(
    retriever: Retriever, catalog: Catalog, collection: CollectionRow, request: SearchRequest, document: Document
) -> Explained:
    """Explain one image's place in the answers to a request. Raises as `Retriever.retrieve` does."""
    timings = Timings()
    place = await retriever.place(collection, timings)
    encoded = await retriever.encoded(place, request.query, timings)
    if request.fields is None:
        standing, mine = await _among_all(retriever, place, encoded, document.row)
    else:
        standing, mine = await _among_fields(retriever, place, request, encoded, document.row)
    lead = None if standing.score is None or standing.last is None else standing.score - standing.last
    shares = await _shares(catalog, place, request, encoded, document, mine)
    return Explained(standing.rank, standing.score, lead, shares)


async def _among_all(
    retriever: Retriever, place: Place, encoded: EncodedQuery, row: int
) -> tuple[_Standing, Packed | None]:
    """Where the pages of a search have the image, and its token vectors: the first block of candidates is ranked, and
    the image's own."""
    page = SearchRequest("", _FIRST).page(retriever.ranking.candidates(_FIRST))
    found = await asyncio.to_thread(place.reader.search, encoded.vector, MAX_K)
    first = await retriever.ranked(place, page, found.first(page.block), encoded)
    tokens = await retriever.tokens.by_rows(place.collection, place.encoder.encoder.recipe, [row])
    (mine,) = tokens.each()
    candidate, _ = _place(found, row)
    if candidate is None:
        return _Standing(None, None, _last(first)), mine
    start = (candidate - 1) // page.block * page.block
    ranked = await retriever.ranked(place, page, found.part(start, page.block), encoded) if start else first
    rank, score = _place(ranked, row)
    return _Standing(None if rank is None else start + rank, score, _last(first)), mine


async def _among_fields(
    retriever: Retriever, place: Place, request: SearchRequest, encoded: EncodedQuery, row: int
) -> tuple[_Standing, Packed | None]:
    """Where a search of the fields has the image, and its token vectors; a score too where it is no candidate."""
    found = await retriever.fields.search(place, request, encoded)
    ranked = found.outcome.ranked
    rank, score = _place(ranked, row)
    if rank is not None:
        return _Standing(rank, score, _last(ranked)), found.said.tokens_of(row)
    alone = await retriever.fields.alone(place, request, encoded, row)
    scores = alone.outcome.ranked.scores
    return _Standing(None, float(scores[0]) if len(scores) else None, _last(ranked)), alone.said.tokens_of(row)


async def _shares(
    catalog: Catalog,
    place: Place,
    request: SearchRequest,
    encoded: EncodedQuery,
    document: Document,
    mine: Packed | None,
) -> Sequence[float] | None:
    if encoded.words is None or not len(encoded.words) or mine is None or not len(mine):
        return None
    spans = await _spans(catalog, place, request, document)
    if len(spans) != len(mine):
        return None
    phrases = document.phrases
    (shares,) = word_shares(encoded.words, [mine], [owners(phrases, spans)], [len(phrases)])
    return shares


async def _spans(catalog: Catalog, place: Place, request: SearchRequest, document: Document) -> Spans:
    """Where the tokens are whose vectors stand for the image now; nothing where that can't be known."""
    locator = place.encoder.locator
    if locator is None:
        return _NOWHERE
    if request.fields is None:
        async with catalog.reading() as session:
            if not await field_search.embedded(session, place.encoder.fingerprint, [document.description_id]):
                return _NOWHERE
    (spans,) = await asyncio.to_thread(locator.locate_words, [document.text])
    return spans


def owners(phrases: Spans, tokens: Spans) -> Owners:
    """Which phrase each token belongs to; both int32 (n, 2), where they begin and end in the same text."""
    if not len(phrases):
        return np.full(len(tokens), -1, np.int16)
    place = np.searchsorted(phrases[:, 0], tokens[:, 0], side="right") - 1
    inside = (place >= 0) & (tokens[:, 0] < phrases[place, 1])
    return np.where(inside, place, -1).astype(np.int16)


def _place(found: Found, row: int) -> tuple[int | None, float | None]:
    """The place of a row among those found, from 1 on, and its score."""
    places = np.flatnonzero(found.rows == row)
    return (int(places[0]) + 1, float(found.scores[places[0]])) if len(places) else (None, None)


def _last(found: Found) -> float | None:
    """The score of the last of the first ten."""
    first = found.first(_FIRST).scores
    return float(first[-1]) if len(first) else None

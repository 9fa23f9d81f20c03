"""Why is an image where it is in an answer, or why is it not there at all?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel

from app.search.outcome import Place
from app.search.paging import Page
from app.search.parts import Asked
from app.search.shown import Shown
from app.state import State
from indexer.encoding.micro_batch import EncodedQuery, itself
from indexer.releases.index_reader import Found
from indexer.retrieval.cutting import part
from indexer.retrieval.late_interaction import Packed
from scenes.answer import MAX_K, Evidence
from scenes.catalog import images
from scenes.fields import fields_of

_FIRST = 10


class Explanation(BaseModel):
    """`rank` counts from 1 through the pages of a search for at most 50 images at a time; null where the image is not
    among the first 1,000, or no candidate of a search of fields.

    Evidence is told in any case, with its shares; of fields, a score too, unless the image says nothing there. All of
    it is from before a re-ranker: where the server has one, the image may stand elsewhere in an answer.
    """

    image_id: str
    rank: int | None
    score: float | None
    better_than_last: float | None
    evidence: tuple[Evidence, ...]


async def explain(
    state: State, collection_name: str, query: str, image_id: str, names: Sequence[str] | None = None
) -> Explanation:
    """Where one image stands for a query, or for a search of the fields of these names. `better_than_last` is its lead
    over the last of the first ten.

    Raises `NotFound` (`collection_unknown`, `image_unknown`), `BadInput` (`field_unknown`).
    """
    fields = None if names is None else fields_of(names)
    collection = await state.service.collections.get(collection_name)
    async with state.catalog.reading() as session:
        view = await images.get(session, collection.id, image_id)
    engine = await state.service.engines.answering(collection)
    at = Place(collection, engine, await engine.searcher.snapshot(collection))
    encoded = await at.engine.encoder.encode_then(query, itself, remember=at.remembers)
    if fields is None:
        stands, mine = await _by_everything(state, encoded, at, view.row)
    else:
        stands, mine = await _by_parts(state, Asked(collection.id, engine, fields, query, encoded), at, view.row)
    told = await state.service.telling.evidence(engine, query, encoded.words, fields, Shown.of(view), mine)
    lead = None if stands.score is None or stands.last is None else stands.score - stands.last
    evidence = tuple(one.evidence for one in told)
    return Explanation(
        image_id=image_id, rank=stands.rank, score=stands.score, better_than_last=lead, evidence=evidence
    )


@dataclass(frozen=True, slots=True)
class _Stands:
    """Where an image stands; `last` is the score of the last of the first ten, None where nothing was found."""

    rank: int | None
    score: float | None
    last: float | None


async def _by_everything(state: State, encoded: EncodedQuery, at: Place, row: int) -> tuple[_Stands, Packed | None]:
    """Where the pages of a search have the image, and its words: its block of candidates is ranked, and the first."""
    looking = state.service.looking
    page = Page(0, _FIRST, looking.ranking.candidates(_FIRST))
    found = await asyncio.to_thread(at.snapshot.search, encoded.vector, MAX_K)
    first = await looking.ranked_once_read(at, page, found.first(page.block), encoded)
    (mine,) = (await looking.words.by_rows(at.collection, at.engine.encoder.recipe, [row])).each()
    place, _ = _place(found, row)
    if place is None:
        return _Stands(None, None, _last(first)), mine
    start = (place - 1) // page.block * page.block
    ranked = await looking.ranked_once_read(at, page, part(found, start, page.block), encoded) if start else first
    rank, score = _place(ranked, row)
    return _Stands(None if rank is None else start + rank, score, _last(first)), mine


async def _by_parts(state: State, asked: Asked, at: Place, row: int) -> tuple[_Stands, Packed | None]:
    """Where a search of the fields has the image, and its words; a score too where it is no candidate there."""
    found = await state.service.parts.search(asked, at.snapshot)
    rank, score = _place(found.found, row)
    if rank is not None:
        return _Stands(rank, score, _last(found.found)), found.words.get(row)
    alone = await state.service.parts.alone(asked, row)
    own = float(alone.found.scores[0]) if len(alone.found.rows) else None
    return _Stands(None, own, _last(found.found)), alone.words.get(row)


def _place(found: Found, row: int) -> tuple[int | None, float | None]:
    """Where a row is among those found, from 1 on, and its score."""
    places = np.flatnonzero(found.rows == row)
    return (int(places[0]) + 1, float(found.scores[places[0]])) if len(places) else (None, None)


def _last(found: Found) -> float | None:
    """The score of the last of the first ten."""
    first = found.first(_FIRST).scores
    return float(first[-1]) if len(first) else None

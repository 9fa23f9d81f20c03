"""Why is an image where it is in an answer, or why is it not there at all?"""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from app.search.outcome import Place
from app.search.parts import Asked
from app.search.shown import Shown
from app.state import State
from indexer.late_interaction import Packed
from indexer.microbatch import itself
from indexer.snapshot import Found
from scenes.answer import MAX_K, Evidence
from scenes.catalog import images
from scenes.parts import fields_of

_FIRST = 10


class Explanation(BaseModel):
    """`rank` counts from 1, null where the image is not among the first 1,000, or no candidate of a search of fields.

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
        found, own = await asyncio.to_thread(at.snapshot.search, encoded.vector, MAX_K), None
        words: Mapping[int, Packed] = await state.service.words.by_rows(collection, engine.encoder.recipe, [view.row])
    else:
        asked = Asked(collection.id, engine, fields, query, encoded)
        found, words, own = await _by_parts(state, asked, at, view.row)
    told = await state.service.telling.evidence(engine, query, encoded.words, fields, Shown.of(view), words)
    rows, scores = found.rows.tolist(), found.scores.tolist()
    place = rows.index(view.row) if view.row in rows else None
    score = own if place is None else scores[place]
    return Explanation(
        image_id=image_id,
        rank=None if place is None else place + 1,
        score=score,
        better_than_last=None if score is None or not scores else score - scores[:_FIRST][-1],
        evidence=tuple(one.evidence for one in told),
    )


async def _by_parts(
    state: State, asked: Asked, at: Place, row: int
) -> tuple[Found, Mapping[int, Packed], float | None]:
    """What a search of the fields finds, the image's words, and its score where it is no candidate there."""
    found = await state.service.parts.search(asked, at.snapshot)
    if row in found.words:
        return found.found, found.words, None
    alone = await state.service.parts.alone(asked, row)
    return found.found, alone.words, float(alone.found.scores[0]) if len(alone.found.rows) else None

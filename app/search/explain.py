"""Why is an image where it is in an answer, or why is it not there at all?"""

from collections.abc import Sequence

from pydantic import BaseModel

from app.search.evidence import evidence
from app.search.outcome import Place
from app.search.parts import Asked
from app.state import State
from indexer.microbatch import EncodedQuery, itself
from indexer.snapshot import Found
from scenes.answer import MAX_K, Evidence
from scenes.catalog import images
from scenes.parts import fields_of

_FIRST = 10


class Explanation(BaseModel):
    """`rank` counts from 1, null where the image is not among the first 1,000, or no candidate of a search of fields.

    Evidence is told in any case; of fields, a score too, unless the image says nothing there.
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
    found, own = await (_by_everything(at, query) if fields is None else _by_parts(state, at, query, fields, view.row))
    rows, scores = found.rows.tolist(), found.scores.tolist()
    place = rows.index(view.row) if view.row in rows else None
    score = own if place is None else scores[place]
    return Explanation(
        image_id=image_id,
        rank=None if place is None else place + 1,
        score=score,
        better_than_last=None if score is None or not scores else score - scores[:_FIRST][-1],
        evidence=evidence(view.description, query, fields),
    )


async def _by_everything(at: Place, query: str) -> tuple[Found, float | None]:
    def look(encoded: EncodedQuery) -> Found:
        return at.snapshot.search(encoded.vector, MAX_K)

    return await at.engine.encoder.encode_then(query, look, remember=at.remembers), None


async def _by_parts(
    state: State, at: Place, query: str, fields: tuple[str, ...], row: int
) -> tuple[Found, float | None]:
    """What a search of the fields finds, and the image's score where it is no candidate there."""
    encoded = await at.engine.encoder.encode_then(query, itself, remember=at.remembers)
    asked = Asked(at.collection.id, at.engine, fields, query, encoded)
    found = (await state.service.parts.search(asked, at.snapshot)).found
    if row in found.rows:
        return found, None
    alone = await state.service.parts.alone(asked, row)
    return found, float(alone.scores[0]) if len(alone.rows) else None

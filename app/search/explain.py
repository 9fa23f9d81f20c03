"""Why is an image where it is in an answer, or why is it not there at all?"""

from pydantic import BaseModel

from app.search.evidence import evidence
from app.state import State
from scenes.answer import MAX_K, Evidence
from scenes.catalog import images

_FIRST = 10


class Explanation(BaseModel):
    """`rank` counts from 1, null where the image is not among the first 1,000; evidence is told in any case."""

    image_id: str
    rank: int | None
    score: float | None
    better_than_last: float | None
    evidence: tuple[Evidence, ...]


async def explain(state: State, collection_name: str, query: str, image_id: str) -> Explanation:
    """Where one image stands for a query. `better_than_last` is its lead over the last of the first ten.

    Raises `NotFound` (`collection_unknown`, `image_unknown`).
    """
    collection = await state.service.collections.get(collection_name)
    async with state.catalog.reading() as session:
        view = await images.get(session, collection.id, image_id)
    engine = await state.service.engines.answering(collection)
    snapshot = await engine.searcher.snapshot(collection)
    found = await engine.encoder.encode_then(
        query,
        lambda encoded: snapshot.search(encoded.vector, MAX_K),
        remember=collection.settings.search_log != "off",
    )
    rows, scores = found.rows.tolist(), found.scores.tolist()
    place = rows.index(view.row) if view.row in rows else None
    shown = scores[:_FIRST]
    return Explanation(
        image_id=image_id,
        rank=None if place is None else place + 1,
        score=None if place is None else scores[place],
        better_than_last=None if place is None else scores[place] - shown[-1],
        evidence=evidence(view.description, query),
    )

"""Why is an image where it is in an answer, or why is it not there at all?"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from app.search.evidence import chosen, prepared
from app.search.service import SearchService
from indexer.retrieval.explanation import Document
from indexer.retrieval.explanation import explain as explained
from indexer.retrieval.request import SearchRequest
from indexer.structure.structure import told
from scenes.answer import Evidence
from scenes.catalog import images
from scenes.catalog.images import ImageView
from scenes.content_words import content_words
from scenes.fields import fields_of, said


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
    service: SearchService, collection_name: str, query: str, image_id: str, names: Sequence[str] | None = None
) -> Explanation:
    """Where one image stands for a query, or for a search of the fields of these names. `better_than_last` is its lead
    over the last of the first ten.

    Raises `NotFound` (`collection_unknown`, `image_unknown`), `BadInput` (`field_unknown`).
    """
    fields = None if names is None else fields_of(names)
    collection = await service.collections.get(collection_name)
    async with service.catalog.reading() as session:
        view = await images.get(session, collection.id, image_id)
    phrases = prepared(view.description, fields)
    spans = np.array([(phrase.begin, phrase.end) for phrase in phrases.all], np.int32).reshape(-1, 2)
    document = Document(view.row, view.description_id, _text(view, fields), spans)
    request = SearchRequest(query, 1, fields=fields)
    why = await explained(service.retriever, service.catalog, collection, request, document)
    evidence = tuple(one.evidence for one in chosen(phrases, content_words(query), why.shares))
    return Explanation(
        image_id=image_id,
        rank=why.rank,
        score=why.score,
        better_than_last=why.better_than_last,
        evidence=evidence,
    )


def _text(view: ImageView, fields: tuple[str, ...] | None) -> str:
    """What is embedded of an image: all that its description says, or what these fields of it say."""
    return said(view.description if fields is None else told(view.description, fields))

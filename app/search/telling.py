"""What speaks for one image: its evidence with shares, from the ranker's own matches of words."""

import asyncio

import numpy as np

from app.search.engines import Engine
from app.search.evidence import Told, chosen, content_words, owners
from app.search.shown import Shown
from indexer.encoding.encoder import Spans, Words
from indexer.retrieval.late_interaction import Packed
from indexer.retrieval.token_shares import word_shares
from indexer.structure.structure import told
from scenes.catalog import field_search
from scenes.catalog.connection import Catalog
from scenes.fields import said

_NOWHERE: Spans = np.empty((0, 2), np.int32)


class Telling:
    """Finds which phrase each word of a description belongs to.

    Only for an image that is explained: for every result of every search it costs a sixth of the search.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def evidence(
        self,
        engine: Engine,
        query: str,
        asked: Words | None,
        fields: tuple[str, ...] | None,
        shown: Shown,
        mine: Packed | None,
    ) -> tuple[Told, ...]:
        """The evidence of an image; `asked` are the words of the query, `mine` those that it is ranked by.

        No shares where words have no vectors, or where these are not yet those of what the description says now.
        """
        phrases = shown.phrases_of(fields)
        shares = None
        if asked is not None and len(asked) and mine is not None and len(mine):
            spans = await self._spans(engine, fields, shown)
            if len(spans) == len(mine):
                (shares,) = word_shares(asked, [mine], [owners(phrases.all, spans)], [len(phrases.all)])
        return chosen(phrases, content_words(query), shares)

    async def _spans(self, engine: Engine, fields: tuple[str, ...] | None, shown: Shown) -> Spans:
        """Where the words are whose vectors stand for the image now; nothing where that can't be told."""
        view = shown.view
        if engine.locator is None:
            return _NOWHERE
        if fields is None:
            async with self._catalog.reading() as session:
                if not await field_search.embedded(session, engine.fingerprint, [view.description_id]):
                    return _NOWHERE
        text = said(view.description if fields is None else told(view.description, fields))
        (spans,) = await asyncio.to_thread(engine.locator.locate_words, [text])
        return spans

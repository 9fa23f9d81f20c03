"""What a search found, before images are shown."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from app.search.engines import Engine
from indexer.encoding.micro_batch import EncodedQuery
from indexer.releases.searcher import Found, Snapshot
from scenes.answer import Answer
from scenes.catalog.collections import CollectionRow
from scenes.relevance import Relevance

_RIVALS = 2
"""The best and its best rival: what the chance of every other is held against."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search looks."""

    collection: CollectionRow
    engine: Engine
    snapshot: Snapshot

    @property
    def remembers(self) -> bool:
        """May this collection's queries be kept in memory?"""
        return self.collection.settings.search_log != "off"

    @property
    def release(self) -> uuid.UUID | None:
        return self.snapshot.release.id if self.snapshot.release else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a search found, best first; `fields` are those that it kept to, None where it looked at everything;
    `reranked` is how many of the first a re-ranker has put in its order, None where there is none."""

    ranked: Found
    encoded: EncodedQuery
    exists: int | None
    fields: tuple[str, ...] | None = None
    reranked: int | None = None

    @property
    def is_judged(self) -> bool:
        """Are these scores those that relevance was fitted to? Not of parts, nor where a re-ranker has a say."""
        return self.fields is None and self.reranked is None

    def chances(self, relevance: Relevance | None, first: int) -> Sequence[float | None]:
        """P(relevant) of the `first` ranked images at least, None each where scores are not judged."""
        if relevance is None or not self.is_judged:
            return [None] * len(self.ranked.rows)
        scores = self.ranked.scores[: max(first, _RIVALS)]
        return [round(chance, 4) for chance in relevance.probabilities(scores.tolist())]

    def matches(self, relevance: Relevance | None) -> bool:
        """May the best image be what was asked for? Yes, where scores are not judged."""
        if relevance is None or not self.is_judged:
            return True
        scores = self.ranked.scores.tolist()
        rival = (score for score in scores if score != scores[0])  # an image that is there twice is no rival of itself
        return relevance.matches([*scores[:1], *islice(rival, 1)])

    def frame(
        self, place: Place, hits: Sequence[object], search_id: uuid.UUID | None, next_cursor: str | None
    ) -> Answer:
        """The answer without its results."""
        return Answer.model_construct(
            results=(),
            matches="some" if hits and self.matches(place.engine.relevance) else "none",
            exists=self.exists,
            reranked=self.reranked,
            query_truncated=self.encoded.truncated,
            release=str(place.release) if place.release else None,
            search_id=search_id,
            next_cursor=next_cursor,
            pending=len(place.snapshot.pending),
        )

"""What one search asks for, and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from indexer.releases.index_reader import Found
from indexer.retrieval.page import Page
from indexer.retrieval.search_batch import EncodedQuery
from scenes.filtering import Filter
from scenes.relevance import Relevance

_RIVALS = 2
"""The best and its best rival: what the chance of every other is compared with."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The `k` images from `offset` on that best fit the words of `query`.

    `filter` and `fields`, where they are given, restrict which images and which fields of their descriptions count.
    `reranked` is for a further page: how many candidates the re-ranker reached for the first one.
    """

    query: str
    k: int
    offset: int = 0
    filter: Filter | None = None
    fields: tuple[str, ...] | None = None
    reranked: int | None = None

    def page(self, block: int) -> Page:
        return Page(self.offset, self.k, block)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a search and when it began and ended, in nanoseconds since 1970."""

    name: str
    began: int
    ended: int


@dataclass(slots=True)
class Timings:
    """What was measured during one search.

    `stages` are those of this request. `measured` are seconds by stage of the batch that it shared and `embedded` how
    many queries were embedded in it: only the first request of a batch has them. `cached`: were the query's vectors
    known, None where this was not looked up.
    """

    stages: list[Stage] = field(default_factory=list)
    measured: list[tuple[str, float]] = field(default_factory=list)
    embedded: int = 0
    cached: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All ranked candidates of a search, best first.

    `exists` is how many images pass the filter, or say something in the fields; None where that was not counted.
    `complete`: there are no other candidates, however many were asked for. `reranked` is how many of the first ones a
    re-ranker ordered, None where there is no re-ranker.
    """

    ranked: Found
    exists: int | None = None
    complete: bool = False
    reranked: int | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One page of ranked images: `rows` with their `scores`, higher is better, and their `probabilities`, None where
    scores are not calibrated.

    `matches`: may the best image be what was asked for? `pending` is how many images of the collection have no vectors
    yet; `release` is the one that answered, if any.
    """

    rows: Sequence[int]
    scores: Sequence[float]
    probabilities: Sequence[float | None]
    matches: bool
    exists: int | None
    reranked: int | None
    has_more: bool
    truncated: bool
    pending: int
    release: UUID | None
    timings: Timings

    @classmethod
    def of(
        cls,
        request: SearchRequest,
        page: Page,
        outcome: Outcome,
        encoded: EncodedQuery,
        relevance: Relevance | None,
        pending: int,
        release: UUID | None,
        timings: Timings,
    ) -> "Retrieved":
        """The page of an outcome.

        Relevance was fitted to the scores of whole descriptions: those of fields, or of a re-ranker, are not judged.
        """
        fitted = relevance if request.fields is None and outcome.reranked is None else None
        shown = page.of(outcome.ranked)
        return cls(
            rows=shown.rows.tolist(),
            scores=shown.scores.tolist(),
            probabilities=_probabilities(outcome.ranked, page, fitted),
            matches=_matches(outcome.ranked, fitted),
            exists=outcome.exists,
            reranked=outcome.reranked,
            has_more=not page.is_last(len(outcome.ranked.rows), complete=outcome.complete),
            truncated=encoded.truncated,
            pending=pending,
            release=release,
            timings=timings,
        )


def _probabilities(ranked: Found, page: Page, relevance: Relevance | None) -> Sequence[float | None]:
    """P(relevant) of each image of the page."""
    if relevance is None:
        return [None] * min(page.k, max(0, len(ranked.rows) - page.offset))
    scores = ranked.scores[: max(page.end, _RIVALS)].tolist()
    return [round(chance, 4) for chance in relevance.probabilities(scores)][page.offset : page.end]


def _matches(ranked: Found, relevance: Relevance | None) -> bool:
    if relevance is None or not len(ranked.rows):
        return len(ranked.rows) > 0
    scores = ranked.scores.tolist()
    rivals = (score for score in scores if score != scores[0])  # an image that is there twice is no rival of itself
    return relevance.matches([*scores[:1], *islice(rivals, 1)])

"""Re-ranking: a model that reads a query and a text together decides the order of the first candidates.

A re-ranked score lies between 2 and 4: 3 + x / (1 + |x|) of the model's own number x, by which they are put in order;
numbers that differ little may be shown alike. Every other score is at most 1, give or take rounding. So whatever was
re-ranked lies above whatever was not, in every answer and on every page, and each score says which of the two it is.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.releases.index_reader import Found
from indexer.retrieval.ranking import DEPTH

BATCH = 4
"""So many texts are scored between two looks at the clock."""


class Reranker(Protocol):
    """Scores texts beside a query; higher is better, on a scale of its own."""

    @property
    def name(self) -> str:
        """The model and the digest of its files: what scores otherwise has another name."""
        ...

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n,) for n texts; called by one thread at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Reranked:
    """All candidates in their new order, and how many of them were re-ranked."""

    found: Found
    count: int


@dataclass(frozen=True, slots=True)
class Reranking:
    """How the first `depth` candidates are re-ranked; without a `budget`, all of them, however long that takes."""

    reranker: Reranker
    budget: timedelta | None = None
    depth: int = DEPTH
    batch: int = BATCH
    clock: Callable[[], float] = time.monotonic

    def deadline(self, budgets: int = 1) -> float:
        """Until when a search that begins now may begin another batch, in seconds of the `clock`."""
        return math.inf if self.budget is None else self.clock() + budgets * self.budget.total_seconds()

    def reranked(
        self, found: Found, query: str, texts: Mapping[int, str], *, until: float = math.inf, most: int | None = None
    ) -> Reranked:
        """The candidates, best first, in batches until the deadline: those reached in the re-ranker's order, before the
        others in their own.

        `texts` are what candidates say, by row; one without stays among the others. At most `most` are re-ranked.
        """
        rows = [row for row in found.rows[: self.depth].tolist() if row in texts][:most]
        scored: list[NDArray[np.float32]] = []
        for start in range(0, len(rows), self.batch):
            if self.clock() >= until:
                break
            scored.append(self.reranker.scores(query, [texts[row] for row in rows[start : start + self.batch]]))
        if not scored:
            return Reranked(found, 0)
        scores = np.concatenate(scored)
        return Reranked(_put_first(found, np.array(rows[: len(scores)], np.int64), scores), len(scores))


def shown(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """A re-ranker's scores float32 (n,) as answers show them, 2…4; what is no number comes last."""
    finite = np.nan_to_num(scores.astype(np.float64), nan=-np.inf).clip(-1e30, 1e30)
    told: NDArray[np.float32] = (3 + finite / (1 + np.abs(finite))).astype(np.float32)
    return told


def pair_scores(reranker: Reranker, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
    """A re-ranker's own scores float32 (n,) of n queries, each beside the text in its place and no other."""
    scored = [reranker.scores(query, [text])[0] for query, text in zip(queries, texts, strict=True)]
    return np.array(scored, np.float32)


def _put_first(found: Found, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> Found:
    """These rows by their own scores, equal ones as they stood, then all others as they stand."""
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    others = ~np.isin(found.rows, rows)
    return Found(
        np.concatenate([rows[order], found.rows[others]]), np.concatenate([shown(scores[order]), found.scores[others]])
    )

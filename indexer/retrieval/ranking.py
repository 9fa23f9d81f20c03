"""The order that is shown: candidates by pooled vectors, then by words as well.

score = dense · cosine of the pooled vectors + words · late interaction of words + pairs · that of pairs of words;
the weights add up to 1. All three lie on one scale whatever else the collection holds, so a score means the same in
every answer. The weights were chosen on held-out training images alone (docs/quality.md has the ablation).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Words
from indexer.releases.index_reader import Found
from indexer.tokens.late_interaction import Said, late_scores_of

DEPTH = 50
"""How many candidates are ranked by their words, at least."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How candidates become an answer."""

    depth: int = DEPTH
    dense: float = 0.2
    words: float = 0.4
    pairs: float = 0.4

    def candidates(self, k: int) -> int:
        """How many images the index is asked for when k are wanted."""
        return max(k, self.depth)

    def ranked(self, found: Found, query: Words | None, said: Said) -> Found:
        """The candidates in the order shown; an encoder without word vectors leaves them as they are.

        `query` is None where the encoder has no word vectors; `said` is what the candidates say. One that is not there
        (its image was deleted a moment ago) is left out.
        """
        return found if query is None else self.ranked_each([found], [query], said)[0]

    def ranked_each(self, found: Sequence[Found], queries: Sequence[Words], said: Said) -> list[Found]:
        """`ranked` for each of several queries; `said` is what the candidates of the first one say, then those of the
        second, and so on. An order does not depend on the queries beside it."""
        rows = np.concatenate([one.rows for one in found])
        dense = np.concatenate([one.scores for one in found])
        query = np.repeat(np.arange(len(found)), [len(one.rows) for one in found])
        if not said.is_whole:
            there = said.lengths >= 0
            rows, dense, query, said = rows[there], dense[there], query[there], said.chosen(there)
        counts = np.bincount(query, minlength=len(found))
        scores = self.fused(dense, late_scores_of(queries, said, counts.tolist()))
        order = np.lexsort((rows, -scores, query))
        ranked, ends = Found(rows[order], scores[order]), np.cumsum(counts)
        return [ranked.part(end - count, count) for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]

    def fused(self, dense: NDArray[np.float32], late: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores float32 (n,), higher is better, from cosines (n,) and late interaction (2, n)."""
        fused: NDArray[np.float32] = self.dense * dense + self.words * late[0] + self.pairs * late[1]
        return fused

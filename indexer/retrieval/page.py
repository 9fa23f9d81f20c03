"""Pages of one answer: where one starts, and candidates ranked block by block, so that pages neither overlap nor gap.

More candidates ranked together would be another order. So each block of candidates is ranked by itself, in the order
of the index, and a page reads on where the one before ended. What is published or deleted between two pages may shift
them by as much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

from indexer.encoding.encoder import Words
from indexer.releases.index_reader import Found
from indexer.retrieval.ranking import Ranking
from indexer.tokens.late_interaction import Said


@dataclass(frozen=True, slots=True)
class Page:
    """The images from `offset` on, at most `k`, where candidates are ranked in blocks of `block`."""

    offset: int
    k: int
    block: int

    @property
    def end(self) -> int:
        return self.offset + self.k

    @property
    def candidates(self) -> int:
        """How many images the index is asked for: whole blocks."""
        return -(-self.end // self.block) * self.block

    def ranked_each(
        self, ranking: Ranking, found: Sequence[Found], queries: Sequence[Words], said: Said
    ) -> list[Found]:
        """The candidates of each query, each block ranked by itself; `said` are the token vectors of the candidates of
        the first query, then those of the second, and so on."""
        if all(len(one.rows) <= self.block for one in found):
            return ranking.ranked_each(found, queries, said)
        cut = [[one.part(start, self.block) for start in self._starts(one)] for one in found]
        asked = [query for query, blocks in zip(queries, cut, strict=True) for _ in blocks]
        ranked = iter(ranking.ranked_each(list(chain(*cut)), asked, said))
        return [Found.joined(list(islice(ranked, len(blocks)))) for blocks in cut]

    def _starts(self, found: Found) -> range:
        """Where each block of the candidates begins; one empty block where there are none."""
        return range(0, max(1, len(found.rows)), self.block)

    def of(self, ranked: Found) -> Found:
        """This page of the ranked candidates."""
        return ranked.part(self.offset, self.k)

    def is_last(self, found: int, *, complete: bool = False) -> bool:
        """Is there no page behind this one, where `found` candidates were found?

        `complete`: there are no more than those found, however many were asked for.
        """
        return found <= self.end and (complete or found < self.candidates)

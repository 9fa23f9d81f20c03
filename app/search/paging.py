"""Pages of one answer: where one starts, and candidates ranked block by block, so that pages neither overlap nor gap.

More candidates ranked together would be another order. So each block of candidates is ranked by itself, in the order
of the index, and a page reads on where the one before ended. What is published or deleted between two pages may shift
them by as much.

Where a re-ranker orders the first candidates, the cursor tells which it was and how many it reached, so that they stand
in the same order on every page.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

from indexer.encoding.encoder import Words
from indexer.releases.index_reader import Found
from indexer.retrieval.cutting import joined, part
from indexer.retrieval.late_interaction import Said
from indexer.retrieval.ranking import Ranking
from scenes.answer import Query
from scenes.errors import BadInput

FURTHEST = 10_000
"""How many images can be paged through; whoever wants all of them lists the collection."""


@dataclass(frozen=True, slots=True)
class Page:
    """The images from `offset` on, at most `k`, where candidates are ranked in blocks of `block`.

    `by` names the re-ranker, if there is one; `reranked` is how many it had put for the first page, None there.
    """

    offset: int
    k: int
    block: int
    by: str | None = None
    reranked: int | None = None

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
        """The candidates of each query, each block ranked by itself; `said` is what those of the first one say, then
        those of the second, and so on."""
        if all(len(one.rows) <= self.block for one in found):
            return ranking.ranked_each(found, queries, said)
        cut = [[part(one, start, self.block) for start in self._starts(one)] for one in found]
        asked = [query for query, blocks in zip(queries, cut, strict=True) for _ in blocks]
        ranked = iter(ranking.ranked_each(list(chain(*cut)), asked, said))
        return [joined(list(islice(ranked, len(blocks)))) for blocks in cut]

    def _starts(self, found: Found) -> range:
        """Where each block of the candidates begins; one that is empty where there are none."""
        return range(0, max(1, len(found.rows)), self.block)

    def of(self, ranked: Found) -> Found:
        """This page of the ranked candidates."""
        return part(ranked, self.offset, self.k)

    def following(self, query: Query, found: int, *, complete: bool = False, reranked: int | None = None) -> str | None:
        """The cursor of the next page, None where `found` candidates say that there is none.

        `complete`: there are no more than those found, however many were asked for.
        """
        is_last = found <= self.end and (complete or found < self.candidates)
        if is_last or self.end + self.k > FURTHEST:
            return None
        body = {"offset": self.end, "of": _digest(query, self.by)} | ({} if self.by is None else {"reranked": reranked})
        return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


def page_of(query: Query, ranking: Ranking, by: str | None = None) -> Page:
    """The page that a query asks for, where the re-ranker of this name orders. Raises `BadInput` (`cursor_invalid`)."""
    offset, reranked = (0, None) if query.cursor is None else _read(query, query.cursor, by)
    return Page(offset, query.k, ranking.candidates(query.k), by, reranked)


def _read(query: Query, cursor: str, by: str | None) -> tuple[int, int | None]:
    """Where a cursor's page starts, and how many candidates the first page had put by the re-ranker."""
    try:
        body = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        offset, of, reranked = int(body["offset"]), body["of"], None if by is None else int(body["reranked"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise _invalid("it is none that this server's answers give") from error
    if of != _digest(query, by):
        raise _invalid("it belongs to another query, filter, k, fields or re-ranker")
    if not 0 < offset <= FURTHEST - query.k:
        raise _invalid("it leads too far")
    return offset, None if reranked is None else max(0, reranked)


def _digest(query: Query, by: str | None) -> str:
    conditions = None if query.filter is None else json.dumps(query.filter, sort_keys=True)
    asked = (query.query, query.k, conditions, sorted(set(query.fields or ())), by)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def _invalid(why: str) -> BadInput:
    return BadInput("cursor_invalid", f"the cursor can't be used: {why}", fix="ask the first page anew, without cursor")

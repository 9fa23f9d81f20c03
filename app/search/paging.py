"""Pages of one answer: where one starts, and candidates ranked block by block, so that pages neither overlap nor gap.

More candidates ranked together would be another order. So each block of candidates is ranked by itself, in the order
of the index, and a page reads on where the one before ended. What is published or deleted between two pages may shift
them by as much.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from indexer.encoder import Words
from indexer.late_interaction import Packed
from indexer.ranking import Ranking
from indexer.snapshot import Found
from scenes.answer import Query
from scenes.errors import BadInput

FURTHEST = 10_000
"""How many images can be paged through; whoever wants all of them lists the collection."""


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

    def ranked(self, ranking: Ranking, found: Found, query: Words | None, words: Mapping[int, Packed]) -> Found:
        """The candidates, each block ranked by itself."""
        starts = range(0, max(1, len(found.rows)), self.block)
        blocks = [
            ranking.ranked(
                Found(found.rows[start : start + self.block], found.scores[start : start + self.block]), query, words
            )
            for start in starts
        ]
        if len(blocks) == 1:
            return blocks[0]
        return Found(np.concatenate([one.rows for one in blocks]), np.concatenate([one.scores for one in blocks]))

    def of(self, ranked: Found) -> Found:
        """This page of the ranked candidates."""
        return Found(ranked.rows[self.offset : self.end], ranked.scores[self.offset : self.end])

    def following(self, query: Query, found: int, *, complete: bool = False) -> str | None:
        """The cursor of the next page, None where `found` candidates say that there is none.

        `complete`: there are no more than those found, however many were asked for.
        """
        is_last = found <= self.end and (complete or found < self.candidates)
        if is_last or self.end + self.k > FURTHEST:
            return None
        body = json.dumps({"offset": self.end, "of": _digest(query)})
        return base64.urlsafe_b64encode(body.encode()).decode()


def page_of(query: Query, ranking: Ranking) -> Page:
    """The page that a query asks for. Raises `BadInput` (`cursor_invalid`)."""
    offset = 0 if query.cursor is None else _offset(query, query.cursor)
    return Page(offset, query.k, ranking.candidates(query.k))


def _offset(query: Query, cursor: str) -> int:
    try:
        body = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        offset, of = int(body["offset"]), body["of"]
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid("it is none that an answer gave") from error
    if of != _digest(query):
        raise _invalid("it belongs to another query, filter, k or fields")
    if not 0 < offset <= FURTHEST - query.k:
        raise _invalid("it leads too far")
    return offset


def _digest(query: Query) -> str:
    asked = json.dumps([query.query, query.k, query.filter, sorted(set(query.fields or ()))], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _invalid(why: str) -> BadInput:
    return BadInput("cursor_invalid", f"the cursor can't be used: {why}", fix="ask the first page anew, without cursor")

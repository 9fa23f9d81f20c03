"""Cursors: where the next page of an answer starts, as an opaque text that only its own question accepts.

Where a re-ranker orders the first candidates, the cursor says which one it was and how many candidates it reached, so
that they are in the same order on every page.
"""

import base64
import hashlib
import json
from dataclasses import dataclass

from scenes.answer import Query
from scenes.errors import BadInput

FURTHEST = 10_000
"""How many images can be paged through; whoever wants all of them lists the collection."""


@dataclass(frozen=True, slots=True)
class Start:
    """A page starts at `offset`; `reranked` is how many candidates the re-ranker reached for the first page, None for
    the first page itself."""

    offset: int = 0
    reranked: int | None = None


def start_of(query: Query, reranker: str | None = None) -> Start:
    """Where the page starts that a query asks for, with the re-ranker of this name. Raises `BadInput`
    (`cursor_invalid`)."""
    return Start() if query.cursor is None else _read(query, query.cursor, reranker)


def next_cursor(query: Query, start: Start, reranked: int | None = None, reranker: str | None = None) -> str | None:
    """The cursor of the page after the one that begins at `start`; None where it would lead further than `FURTHEST`."""
    end = start.offset + query.k
    if end + query.k > FURTHEST:
        return None
    body = {"offset": end, "of": _digest(query, reranker)} | ({} if reranker is None else {"reranked": reranked})
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


def _read(query: Query, cursor: str, reranker: str | None) -> Start:
    try:
        body = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        reranked = None if reranker is None else int(body["reranked"])
        offset, of = int(body["offset"]), body["of"]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise _invalid("it is none that this server's answers give") from error
    if of != _digest(query, reranker):
        raise _invalid("it belongs to another query, filter, k, fields or re-ranker")
    if not 0 < offset <= FURTHEST - query.k:
        raise _invalid("it leads too far")
    return Start(offset, None if reranked is None else max(0, reranked))


def _digest(query: Query, reranker: str | None) -> str:
    conditions = None if query.filter is None else json.dumps(query.filter, sort_keys=True)
    asked = (query.query, query.k, conditions, sorted(set(query.fields or ())), reranker)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def _invalid(why: str) -> BadInput:
    return BadInput("cursor_invalid", f"the cursor can't be used: {why}", fix="ask for the first page, without cursor")

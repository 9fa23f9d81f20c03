"""Many descriptions in one request: NDJSON in, one result a line out."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from app.images.schemas import BulkResult, LineResult
from scenes.catalog import publishing
from scenes.catalog.connection import WriteSession
from scenes.catalog.json_lines import MAX_LINE_BYTES, LineError, parsed
from scenes.catalog.publishing import Publication
from scenes.errors import BadInput

MAX_LINES = 10_000
_ROWS_A_TRANSACTION = 500
Writing = Callable[[], AbstractAsyncContextManager[WriteSession]]


async def take(writing: Writing, collection_id: int, chunks: AsyncIterator[bytes]) -> BulkResult:
    """Store the good lines, tell of the others; a repeated request changes nothing. Raises `BadInput`.

    `writing` opens a transaction; there are as many as the lines need.
    """
    results: list[LineResult] = []
    waiting: list[Publication] = []
    async for number, raw in lines(chunks):
        one = parsed(number, raw)
        if isinstance(one, LineError):
            results.append(LineResult(line=number, status="rejected", message=one.message))
            continue
        results.append(LineResult(line=number, status="stored", image_id=one.image_id))
        waiting.append(one)
        if len(waiting) == _ROWS_A_TRANSACTION:
            await _store(writing, collection_id, waiting)
            waiting = []
    await _store(writing, collection_id, waiting)
    stored = sum(result.status == "stored" for result in results)
    return BulkResult(stored=stored, rejected=len(results) - stored, lines=tuple(results))


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, the empty ones left out.

    Raises `BadInput` (`line_too_long`, `too_many_lines`).
    """
    number, rest = 0, b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            number += 1
            if raw.strip():
                yield _bounded(number, raw)
        _bounded(number + 1, rest)
    if rest.strip():
        yield _bounded(number + 1, rest)


def _bounded(number: int, raw: bytes) -> tuple[int, bytes]:
    if len(raw) > MAX_LINE_BYTES:
        raise BadInput("line_too_long", f"line {number} is longer than {MAX_LINE_BYTES} bytes")
    if number > MAX_LINES:
        raise BadInput("too_many_lines", f"a request may hold {MAX_LINES} lines", fix="send the rest in another one")
    return number, raw


async def _store(writing: Writing, collection_id: int, rows: Sequence[Publication]) -> None:
    if rows:
        async with writing() as session:
            await publishing.publish(session, collection_id, rows)

"""What is held of the request log, when it is written, and in which order."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from app.http.telemetry.request_log import HELD_S, MOST_HELD, REQUESTS, Line, RequestLog


def line(number: int, status: int = 200) -> Line:
    return Line(1_764_168_096.25, str(number), "POST", "/v1/collections/{collection}/search", status, 0.001_234)


@pytest.fixture
def ids(request_lines: Callable[[], list[Any]]) -> Callable[[], list[str]]:
    return lambda: [one["request_id"] for one in request_lines()]


def test_a_line_is_one_json_object() -> None:
    told = json.loads(str(line(1)))
    assert told.pop("route") == "/v1/collections/{collection}/search"
    at = "2025-11-26T14:41:36.250+00:00"
    assert told == {"at": at, "request_id": "1", "method": "POST", "status": 200, "ms": 1.23}


async def test_lines_are_written_together_after_a_moment_in_their_order(ids: Callable[[], list[str]]) -> None:
    log = RequestLog()
    for number in range(3):
        log.tell(line(number))
    assert ids() == []
    await asyncio.sleep(2 * HELD_S)
    assert ids() == ["0", "1", "2"]
    log.tell(line(3))
    await asyncio.sleep(2 * HELD_S)
    assert ids() == ["0", "1", "2", "3"]


async def test_a_failure_is_written_at_once_after_those_before_it(
    ids: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog()
    log.tell(line(0))
    log.tell(line(1, status=503))
    assert ids() == ["0", "1"]
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.ERROR]


async def test_no_more_than_so_many_are_held(ids: Callable[[], list[str]]) -> None:
    log = RequestLog()
    for number in range(MOST_HELD):
        log.tell(line(number))
    assert len(ids()) == MOST_HELD


async def test_what_is_held_at_the_end_is_written_once(ids: Callable[[], list[str]]) -> None:
    log = RequestLog()
    log.tell(line(0))
    log.write()
    await asyncio.sleep(2 * HELD_S)
    assert ids() == ["0"]


async def test_where_only_failures_are_logged_nothing_else_is_held(
    ids: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog()
    with caplog.at_level(logging.ERROR, logger=REQUESTS):
        log.tell(line(0))
        log.tell(line(1, status=500))
    assert ids() == ["1"]

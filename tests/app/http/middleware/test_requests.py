"""Bounds under load, request ids, what is counted and what is logged."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.limits import KeyLimits
from app.http.middleware.admission import Admission
from app.http.middleware.requests import Watch
from app.http.telemetry.metrics import Metrics
from app.settings import ADMITTED_PER_CORE, Settings
from scenes.errors import Overloaded
from scenes.host.processes import cores
from tests.app.live import live

SECRET_WORDS = "a very private query"


class Slow:
    """An app that answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"done"})  # type: ignore[operator]


async def test_what_is_over_the_bound_is_refused_at_once_and_the_rest_is_answered() -> None:
    slow, metrics = Slow(), Metrics()
    transport = httpx.ASGITransport(app=Watch(slow, metrics, Admission(3)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        waiting = [asyncio.create_task(client.get("/x")) for _ in range(3)]
        await asyncio.sleep(0.05)
        refused = await client.get("/x", headers={"X-Request-Id": "mine-1"})
        assert (refused.status_code, refused.json()["code"]) == (429, "server_busy")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-request-id"] == "mine-1"
        slow.go.set()
        assert {(await one).status_code for one in waiting} == {200}
        assert (await client.get("/x")).status_code == 200
    text = metrics.text().decode()
    assert 'wordsight_refused_total{code="server_busy"} 1.0' in text
    assert "wordsight_requests_in_flight 0.0" in text


class Faulty:
    """An app that fails as nobody foresaw, with a query in its words; after its answer began where it is told to."""

    def __init__(self, *, begins: bool) -> None:
        self.begins = begins

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        try:
            raise KeyError(SECRET_WORDS)
        except KeyError as error:
            raise RuntimeError(f"no answer to {SECRET_WORDS}") from error


async def test_a_fault_is_answered_counted_and_logged_with_its_request_and_without_its_words(
    caplog: pytest.LogCaptureFixture, request_lines: Callable[[], list[Any]]
) -> None:
    metrics = Metrics()
    transport = httpx.ASGITransport(app=Watch(Faulty(begins=False), metrics, Admission(3)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/x", headers={"X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] == "mine-1"
    assert 'wordsight_requests_total{route="other",status="500"} 1.0' in metrics.text().decode()
    (record,), (line,) = caplog.records, request_lines()
    assert (record.levelno, line["request_id"], line["status"]) == (logging.ERROR, "mine-1", 500)
    assert "RuntimeError" in line["fault"]
    assert "KeyError" in line["fault"]
    assert "test_requests.py" in line["fault"]
    assert SECRET_WORDS not in caplog.text


async def test_an_answer_that_broke_off_is_left_incomplete_and_counts_as_failed() -> None:
    metrics, sent = Metrics(), list[dict[str, object]]()

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    watch = Watch(Faulty(begins=True), metrics, Admission(3))  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    await watch(scope, None, send)  # type: ignore[arg-type]
    assert [(one["type"], one.get("status")) for one in sent] == [("http.response.start", 200)]
    assert 'status="500"} 1.0' in metrics.text().decode()


async def test_a_refusal_reads_no_body() -> None:
    slow = Slow()
    watch = Watch(slow, Metrics(), Admission(1))  # type: ignore[arg-type]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": []}
    sent: list[dict[str, object]] = []

    async def read() -> dict[str, object]:
        raise AssertionError("the body was asked for")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    first = asyncio.create_task(watch(dict(scope), read, send))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await watch(dict(scope), read, send)  # type: ignore[arg-type]
    assert [one.get("status") for one in sent] == [429, None]
    slow.go.set()
    await first


def test_a_server_admits_so_many_for_each_core_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORDSIGHT_MAX_CONCURRENT", raising=False)
    assert Settings().max_concurrent == ADMITTED_PER_CORE * cores()
    monkeypatch.setenv("WORDSIGHT_MAX_CONCURRENT", "7")
    assert Settings().max_concurrent == 7


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.floats(0.5, 20))
def test_a_key_never_gets_more_than_its_rate_and_burst(pauses: list[float], rate: float) -> None:
    now = 0.0
    limits = KeyLimits(rate, clock=lambda: now)
    passed, waits = 0, list[float]()
    for pause in pauses:
        now += pause
        try:
            limits.take("key")
            passed += 1
        except Overloaded as error:
            waits.append(error.retry_after_s)
    assert passed <= max(1.0, 2 * rate) + sum(pauses[1:]) * rate + 1e-6
    assert all(wait > 0 for wait in waits)
    limits.take("another")


@pytest.mark.postgres
@pytest.mark.http
def test_limits_and_counts_of_a_running_server(
    database_url: str, home: Path, caplog: pytest.LogCaptureFixture, request_lines: Callable[[], list[Any]]
) -> None:
    with live(database_url, home, "c", per_key=2) as server, server.client(server.key("c", "search")) as client:
        answers = [client.post("/v1/collections/c/search", json={"query": SECRET_WORDS}) for _ in range(8)]
        limited = [one for one in answers if one.status_code == 429]
        assert answers[0].status_code == 200
        assert {one.json()["code"] for one in limited} == {"rate_limited"}
        text = client.get("/metrics").text
        assert client.get("/healthz").headers["x-request-id"]
    assert 'wordsight_searches_total{matches="none"}' in text
    assert 'route="/v1/collections/{collection}/search",status="200"' in text
    assert "wordsight_encode_batch_size_count" in text
    assert {"at", "request_id", "method", "route", "status", "ms"} == set(request_lines()[0])
    assert SECRET_WORDS not in caplog.text + text

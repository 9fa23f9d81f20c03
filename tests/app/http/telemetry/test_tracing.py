"""Traces: a span a request and one a stage, under the caller's trace, without a word of the query; off by default."""

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.types import Message, Receive, Scope, Send

from app.http.middleware.admission import Admission
from app.http.middleware.requests import Watch
from app.http.telemetry.metrics import Metrics
from app.http.telemetry.spans import kept, staged
from app.http.telemetry.tracing import open_tracing
from tests.app.live import live

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
QUERY = "a purple elephant nobody else looks for"


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def spans(self) -> list[Span]:
        found = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [span for one in found for r in one.resource_spans for s in r.scope_spans for span in s.spans]


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    here = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            data = self.rfile.read(int(self.headers["Content-Length"]))
            here.bodies.append(gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield here, f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        server.shutdown()


@pytest.mark.postgres
@pytest.mark.http
def test_a_search_is_a_span_with_its_stages(database_url: str, home: Path, collector: tuple[Collector, str]) -> None:
    found, endpoint = collector
    with live(database_url, home, "pets", tracing=open_tracing(endpoint, 1.0)) as server:
        key = server.key("pets", "ingest")
        with server.client(key) as client:
            client.post("/v1/collections/pets/bulk", content=b'{"id": "1", "text": "a dog"}\n').raise_for_status()
            sent = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "mine"}
            client.post("/v1/collections/pets/search", json={"query": QUERY}, headers=sent).raise_for_status()
            client.get("/v1/collections/nothing")
    spans = found.spans()
    (search,) = [span for span in spans if span.name == "POST /v1/collections/{collection}/search"]
    assert (search.trace_id.hex(), search.parent_span_id.hex()) == (TRACE, CALLER)
    facts = {one.key: one.value.string_value or one.value.int_value for one in search.attributes}
    assert facts["http.response.status_code"] == 200
    assert facts["wordsight.request_id"] == "mine"
    stages = [span for span in spans if span.parent_span_id == search.span_id]
    assert {span.name for span in stages} >= {"snapshot", "look", "show", "store"}
    for span in stages:
        assert span.trace_id == search.trace_id
        assert search.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= search.end_time_unix_nano
    (refused,) = [span for span in spans if span.name == "GET /v1/collections/{collection}"]
    assert {one.value.int_value for one in refused.attributes if one.key == "http.response.status_code"} == {403}
    for body in found.bodies:
        for word in (*QUERY.split()[1:3], "pets", "nothing", key):
            assert word.encode() not in body


@pytest.mark.http
async def test_of_few_requests_those_are_told_that_failed_or_whose_caller_traces(
    collector: tuple[Collector, str],
) -> None:
    found, endpoint = collector
    tracing = open_tracing(endpoint, 0.0)
    assert tracing is not None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await staged("work", asyncio.sleep(0))
        await send({"type": "http.response.start", "status": scope["status"]})

    watch = Watch(app, Metrics(), Admission(9), tracing)
    for method, status, parent in (
        ("PLAIN", 200, ""),
        ("REFUSED", 429, ""),
        ("FAILED", 503, ""),
        ("FOLLOWED", 200, f"00-{TRACE}-{CALLER}-01"),
        ("NOT_FOLLOWED", 200, f"00-{TRACE}-{CALLER}-00"),
    ):
        headers = [(b"traceparent", parent.encode())] if parent else []
        scope = {"type": "http", "method": method, "path": "/", "headers": headers, "status": status}
        await watch(scope, _never, _nowhere)
    tracing.close()
    assert sorted(span.name for span in found.spans()) == ["FAILED other", "FOLLOWED other", "work"]


async def _never() -> Message:
    raise AssertionError("nobody asks for the body")


async def _nowhere(_message: Message) -> None: ...


async def test_nothing_is_kept_or_wrapped_while_traces_are_off() -> None:
    assert open_tracing(None, 1.0) is None
    work = asyncio.sleep(0)
    assert staged("store", work) is work
    await work
    token = kept.set([])
    try:
        await staged("store", asyncio.sleep(0))
        assert [one.name for one in kept.get() or []] == ["store"]
    finally:
        kept.reset(token)

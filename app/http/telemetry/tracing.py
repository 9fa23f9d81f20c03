"""Traces of requests and their stages: the one door to OpenTelemetry. Off unless an endpoint is named.

A span holds method, route, status and request id: no query, no key, no name of a collection. Told with their stages are
a share of all requests and each whose caller has a trace that it belongs to, which is known when it comes: to keep the
stages of every one of them would slow all searches. Of others those are told, alone, that the server failed at.
"""

import random
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

from app.http.telemetry.spans import Stage
from scenes.errors import EnvironmentMissing


class Tracing(Protocol):
    """Is told requests when they are over."""

    def picks(self, parent: str) -> bool:
        """Is a request that comes now told, with its stages? `parent` is its `traceparent` header, or empty."""
        ...

    def tell(
        self, route: str, began: int, ended: int, facts: Mapping[str, str | int], stages: Sequence[Stage], parent: str
    ) -> None:
        """A request and its stages, in nanoseconds since 1970."""

    def close(self) -> None:
        """Send what waits to be sent."""


def open_tracing(endpoint: str | None, share: float) -> Tracing | None:
    """Spans of this share of requests, 0…1, sent by OTLP over HTTP to an endpoint such as
    http://collector:4318/v1/traces; None: no traces.

    Raises `EnvironmentMissing` (`tracing_not_installed`).
    """
    check_tracing(endpoint)
    return None if endpoint is None else _OpenTelemetry(endpoint, share)


def check_tracing(endpoint: str | None) -> None:
    """Is there what traces to this endpoint need? Raises `EnvironmentMissing` (`tracing_not_installed`)."""
    if endpoint is not None and any(
        find_spec(name) is None for name in ("opentelemetry.sdk", "opentelemetry.exporter")
    ):
        fix = "pip install 'wordsight[tracing]', or unset WORDSIGHT_TRACES"
        raise EnvironmentMissing("tracing_not_installed", "OpenTelemetry is not installed", fix=fix)


class _OpenTelemetry:
    def __init__(self, endpoint: str, share: float) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = TracerProvider(resource=Resource.create({"service.name": "wordsight"}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("wordsight")
        self._propagator = TraceContextTextMapPropagator()
        self._share = share

    def picks(self, parent: str) -> bool:
        return bool(parent) or random.random() < self._share  # noqa: S311 - no secret

    def tell(
        self, route: str, began: int, ended: int, facts: Mapping[str, str | int], stages: Sequence[Stage], parent: str
    ) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        context = self._propagator.extract({"traceparent": parent})
        kind = SpanKind.SERVER
        whole = self._tracer.start_span(route, context, kind, attributes=dict(facts), start_time=began)
        inside = set_span_in_context(whole)
        for stage in stages:
            self._tracer.start_span(stage.name, inside, start_time=stage.began).end(stage.ended)
        whole.end(ended)

    def close(self) -> None:
        self._provider.shutdown()

"""The one door to prometheus_client: what this server counts. No label names a collection, a key or a query."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.processes import lives

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Set by `wordsight serve --workers N`, so that each process answers for all of them."""
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STAGES = ("encode", "index", "rank", "rerank", "show")
_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters of one server process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._lengths: tuple[tuple[Gauge, Callable[[], int]], ...] = ()
        one = self._registry
        self.requests = Counter("wordsight_requests", "Answers by route and status.", ["route", "status"], registry=one)
        self.latency = Histogram(
            "wordsight_request_seconds", "Time to answer, by route.", ["route"], buckets=_SECONDS, registry=one
        )
        self.refused = Counter("wordsight_refused", "Requests refused under load, by reason.", ["code"], registry=one)
        self._busy = self.refused.labels("server_busy")
        self._answers: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.stage = Histogram(
            "wordsight_search_stage_seconds", "Time of a search's stages.", ["stage"], buckets=_SECONDS, registry=one
        )
        self._stages = {name: self.stage.labels(name) for name in STAGES}
        self.searches = Counter(
            "wordsight_searches", "Searches by whether anything matched.", ["matches"], registry=one
        )
        self._searched = {matches: self.searches.labels(matches) for matches in ("some", "none")}
        self.batch_size = Histogram(
            "wordsight_encode_batch_size", "Queries embedded together.", buckets=_SIZES, registry=one
        )
        self.cache = Counter("wordsight_query_cache", "Look-ups of recent query vectors.", ["found"], registry=one)
        self._caches = {hit: self.cache.labels("yes" if hit else "no") for hit in (False, True)}
        self._ready = self._gauge("wordsight_processes_ready", "Server processes that answer searches.")
        self.in_flight = self._gauge("wordsight_requests_in_flight", "Requests being answered.")
        self.encoder_queue = self._gauge("wordsight_encoder_queue", "Queries that wait to be embedded.")
        self.gpu_fallbacks = Counter(
            "wordsight_gpu_fallbacks", "Searches and releases left to the CPU, by reason.", ["reason"], registry=one
        )
        self.recall_neighbours = Counter(
            "wordsight_recall_neighbours",
            "Neighbours that exact search found in sampled searches, by whether they were served.",
            ["served"],
            registry=one,
        )
        self.recall = self._gauge("wordsight_recall", "Served recall@10 of the worst collection.", "livemin")
        self.recall.set(1)
        self.recall_below = self._gauge(
            "wordsight_recall_below_promise", "Collections served below the promised recall.", "livemax"
        )
        self.workers_alive = self._gauge(
            "wordsight_workers_alive", "Workers that have reported lately; 0 means that no job is done.", "livemax"
        )
        self.pending = self._gauge(
            "wordsight_pending_descriptions", "Images that are stored but not searchable yet.", "livemax"
        )
        self.pending_oldest = self._gauge(
            "wordsight_pending_oldest_seconds", "How long the oldest of these has waited.", "livemax"
        )
        self.log_queue = self._gauge("wordsight_search_log_queue", "Stored searches that wait to be written.")

    def follow(self, encoder_queue: Callable[[], int], log_queue: Callable[[], int]) -> None:
        """Read these lengths whenever metrics are asked for."""
        self._lengths = ((self.encoder_queue, encoder_queue), (self.log_queue, log_queue))

    def is_ready(self) -> None:
        """This process answers searches from now on."""
        self._ready.set(1)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer, whatever it is."""
        known = self._answers.get((route, status))
        if known is None:
            known = self.requests.labels(route, str(status)), self.latency.labels(route)
            self._answers[route, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def was_busy(self) -> None:
        """Count a request that was refused because too many were being answered."""
        self._busy.inc()

    def batch_seen(self, size: int) -> None:
        """Count queries that were embedded together."""
        self.batch_size.observe(size)

    def stage_took(self, stage: str, seconds: float) -> None:
        """Count the seconds of one stage of a search."""
        self._stages[stage].observe(seconds)

    def fell_back(self, reason: str) -> None:
        """Count what the CPU did in place of a GPU."""
        self.gpu_fallbacks.labels(reason).inc()

    def recall_sampled(self, wanted: int, found: int) -> None:
        """Count one search that was held against exact search."""
        self.recall_neighbours.labels("yes").inc(found)
        self.recall_neighbours.labels("no").inc(wanted - found)

    def recall_stands(self, worst: float | None, below: int) -> None:
        """The worst collection's recall, and how many are below the promise."""
        if worst is not None:
            self.recall.set(worst)
        self.recall_below.set(below)

    def backlog_is(self, count: int, oldest_s: float) -> None:
        """How many images are not searchable yet, and for how long the oldest has waited."""
        self.pending.set(count)
        self.pending_oldest.set(oldest_s)

    def searched(self, matches: str) -> None:
        """Count a search that was answered."""
        self._searched[matches].inc()

    def cache_hit(self, hit: bool) -> None:
        self._caches[hit].inc()

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        for gauge, length in self._lengths:
            gauge.set(length())
        registry = self._registry
        if folder := os.environ.get(MULTIPROCESS):
            _forget_dead(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _gauge(self, name: str, text: str, together: Literal["livesum", "livemin", "livemax"] = "livesum") -> Gauge:
        return Gauge(name, text, registry=self._registry, multiprocess_mode=together)


def _forget_dead(folder: Path) -> None:
    """What processes that were killed told of the present is past; what they counted stays."""
    for path in folder.glob("gauge_live*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdigit() and not lives(int(number)):
            path.unlink(missing_ok=True)

"""Who is let in: at most so many requests at once, and what is counted and logged of each; shared by what refuses them.

Requests over the bound are refused before any work, so that those that were let in stay quick. The log holds method,
route, status and time: never a query, a key or an address with a name in it.
"""

import json
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from app.fresh_ids import fresh_id
from app.metrics import Metrics
from app.problems import problem

ALWAYS = ("/healthz", "/readyz", "/metrics")
"""These are answered however many others are."""
OTHER = "other"
"""The route of a request that has none."""
REQUESTS = "wordsight.requests"
"""The logger of one JSON line a request."""
BUSY = problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "server_busy",
    "this server answers as many requests as it can already",
    fix="try again after Retry-After seconds",
    headers={"Retry-After": "1"},
)
"""Written once: refusing must cost next to nothing, or a flood of it is work enough."""
_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
_log = logging.getLogger(REQUESTS)


@dataclass(slots=True)
class Exchange:
    """One request and what became of it; `started` are seconds of the performance counter."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> "Exchange":
        """A request that comes now, under its own id if that is one."""
        given = dict(headers).get(b"x-request-id", b"")
        return cls(given.decode() if _ID.match(given) else fresh_id().hex)

    @property
    def is_failure(self) -> bool:
        """Did the server fail?"""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class Admission:
    """Knows how many requests are `inside`, of `most` at once."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self._metrics = metrics
        self._most = most
        self.inside = 0

    @property
    def is_full(self) -> bool:
        return self.inside >= self._most

    def refused(self, method: str, exchange: Exchange) -> None:
        """Count a request that was answered with `BUSY`, and log it."""
        self._metrics.was_busy()
        exchange.status = BUSY.status_code
        self.tell(method, OTHER, exchange)

    def tell(self, method: str, route: str, exchange: Exchange) -> None:
        """Count a request that was answered, and log it."""
        seconds = time.perf_counter() - exchange.started
        self._metrics.answered(route, exchange.status, seconds)
        level = logging.ERROR if exchange.is_failure else logging.INFO
        if _log.isEnabledFor(level):
            facts = {"request_id": exchange.request_id, "method": method, "route": route}
            _log.log(level, json.dumps(facts | {"status": exchange.status, "ms": round(seconds * 1_000, 2)}))

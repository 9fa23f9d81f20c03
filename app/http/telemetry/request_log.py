"""One JSON line a request: when it was answered, its id, method, route, status and milliseconds.

Never a query, a key or an address with a name in it; a fault nobody foresaw is told without its words. Lines are held
for a moment and written together: one written in the middle of a search costs several times what it costs beside
others. The line of a failure is written at once, after those before it. A process that is killed loses the lines it
still held, never a failure's.
"""

import asyncio
import json
import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

REQUESTS = "wordsight.requests"
"""The logger of these lines."""
HELD_S = 0.05
MOST_HELD = 256
_log = logging.getLogger(REQUESTS)


class Line(NamedTuple):
    """An answered request; `at` in seconds since 1970, `route` the template of its address."""

    at: float
    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    fault: str | None = None

    @property
    def level(self) -> int:
        return logging.ERROR if is_failure(self.status) else logging.INFO

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        facts: dict[str, object] = {"at": at, "request_id": self.request_id, "method": self.method, "route": self.route}
        facts |= {"status": self.status, "ms": round(self.seconds * 1_000, 2)}
        return json.dumps(facts if self.fault is None else facts | {"fault": self.fault})


class RequestLog:
    """Holds at most `MOST_HELD` lines, none longer than `HELD_S`; `write` writes what it holds."""

    def __init__(self) -> None:
        self._held: list[Line] = []

    def tell(self, line: Line) -> None:
        if not _log.isEnabledFor(line.level):
            return
        self._held.append(line)
        if is_failure(line.status) or len(self._held) >= MOST_HELD:
            self.write()
        elif len(self._held) == 1:
            asyncio.get_running_loop().call_later(HELD_S, self.write)

    def write(self) -> None:
        held, self._held = self._held, []
        for line in held:
            _log.log(line.level, line)


def is_failure(status: int) -> bool:
    """Whether the server, not who asked, is at fault."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR

"""The connections of one server process: a bounded number of each address and of all; late clients are sent away.

Where all places are taken, the connection that has waited longest for its client makes room, never one that is in a
request.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.http.server.connection_bounds import ConnectionBounds, site_of

LOOK_EVERY_S = 0.5
_TOLD_EVERY_S = 60.0
_CROWDED = 0.75
"""From this share of all places on it is known who would make room."""
_log = logging.getLogger(__name__)


class Watched(Protocol):
    """A protocol that says whether it waits for its client, and calls `on_lost` when its connection is lost."""

    transport: asyncio.Transport
    on_lost: Callable[[], object]

    @property
    def is_answering(self) -> bool: ...

    @property
    def waiting_since(self) -> float: ...

    def look(self, now: float, bounds: ConnectionBounds) -> bool: ...

    def connection_made(self, transport: asyncio.Transport) -> None: ...


@dataclass(slots=True, eq=False)
class Connection:
    """One connection; `site` is none for a trusted proxy's, `arriving` is its TLS handshake as long as it takes."""

    site: str | None
    protocol: Watched
    since: float
    arriving: "asyncio.Task[None] | None" = None

    @property
    def is_waiting(self) -> bool:
        return self.arriving is not None or not self.protocol.is_answering

    @property
    def waiting_since(self) -> float:
        return self.since if self.arriving is not None else self.protocol.waiting_since

    def end(self) -> None:
        if self.arriving is not None:
            self.arriving.cancel()
        else:
            self.protocol.transport.abort()


class Connections:
    """Counts connections and looks after them; to be used from one thread."""

    def __init__(self, bounds: ConnectionBounds, clock: Callable[[], float]) -> None:
        self._bounds, self._clock = bounds, clock
        self._all: set[Connection] = set()
        self._by_site: Counter[str] = Counter()
        self._would_go: deque[Connection] = deque()
        self._told_at = clock()
        self._refused: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def has_room(self, host: str) -> bool:
        """May one more connection of this address come in? Another one is ended where it takes its place."""
        if host not in self._bounds.proxies and self._by_site[site_of(host)] >= self._bounds.per_address:
            self._refused["of an address that has too many"] += 1
            return False
        if len(self._all) < self._bounds.total or self._make_room():
            return True
        self._refused["beyond all places"] += 1
        return False

    def add(self, host: str, protocol: Watched) -> Connection:
        """A connection that comes in. `remove` is to be called when it went."""
        site = None if host in self._bounds.proxies else site_of(host)
        one = Connection(site, protocol, self._clock())
        self._all.add(one)
        if site is not None:
            self._by_site[site] += 1
        return one

    def remove(self, one: Connection) -> bool:
        """Count a connection no more; says whether it was counted."""
        if one not in self._all:
            return False
        self._all.remove(one)
        if one.site is not None:
            self._by_site[one.site] -= 1
            if not self._by_site[one.site]:
                del self._by_site[one.site]
        return True

    def look(self) -> None:
        """End what is late, and tell about once a minute what was refused."""
        now = self._clock()
        for one in [one for one in self._all if one.arriving is None]:
            self._refused["of a client that was too slow"] += one.protocol.look(now, self._bounds)
        crowded = len(self._all) >= _CROWDED * self._bounds.total
        waiting = [one for one in self._all if one.is_waiting] if crowded else []
        self._would_go = deque(sorted(waiting, key=lambda one: one.waiting_since))
        if self._refused.total() and now - self._told_at >= _TOLD_EVERY_S:
            counts = ", ".join(f"{n} {why}" for why, n in self._refused.items() if n)
            _log.warning("connections that were refused or closed lately: %s", counts)
            self._told_at = now
            self._refused.clear()

    def _make_room(self) -> bool:
        while self._would_go:
            one = self._would_go.popleft()
            if one in self._all and one.is_waiting:
                one.end()
                self._refused["that waited longest, to make room"] += 1
                return True
        return False

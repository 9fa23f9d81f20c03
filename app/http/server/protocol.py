"""HTTP/1.1 as uvicorn speaks it, with a bound on everything that a client sends, and on how long it leaves us waiting.

Each read costs a few comparisons. Time limits have no timers: the loop looks at all connections about twice a second.
What is too much gets a problem and a closed connection, or only the latter while another answer is on its way.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http.problems import raw_problem
from app.http.server.connection_bounds import ConnectionBounds

MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 256
_HEAD_PART = 8 * 1024
"""So much of a head is parsed before its headers are counted."""
MOST_PIPELINED = 16
"""Requests that were sent before the answer to an earlier one."""
SLOWEST = 1_024
"""Bytes a second that a client must send of a body, and read of an answer, on average over the time it is given."""
_FRAMING = 8
"""Bytes that a chunked body may spend on sizes, extensions and trailers for each of its own, beyond those of a head."""
_LINGER_S = 5.0
"""So long the rest of a body is taken and dropped after the answer."""


class Reading(Enum):
    """What comes next from the client."""

    NOTHING = 0
    HEAD = 1
    BODY = 2


_NOTHING, _HEAD, _BODY = Reading.NOTHING, Reading.HEAD, Reading.BODY


class TooMuch(Exception):
    """Ends the parsing of what was read."""


_INVALID = raw_problem(
    HTTPStatus.BAD_REQUEST, "http_invalid", "this is not a valid HTTP/1.1 request", fix="check the client or the proxy"
)
_HEAD_TOO_LARGE = raw_problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"the head of a request may have {MOST_HEAD_BYTES} bytes and {MOST_HEADERS} headers",
    fix="send fewer or shorter headers",
)
_TOO_SLOW = raw_problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_too_slow",
    "the request did not come in time",
    fix="send it again, and all at once",
)


class BoundedHttp(HttpToolsProtocol):
    """One connection. `look` is to be called now and then."""

    on_lost: Callable[[], object]
    _reading = _NOTHING
    _since = 0.0
    _head_bytes = 0
    _body_bytes = 0
    _framing = 0
    _refusal = _INVALID
    _unsent = 0
    _unsent_since = 0.0

    @property
    def is_answering(self) -> bool:
        """Is a request worked on, or its answer on its way?"""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def waiting_since(self) -> float:
        """When the client was last heard of, or answered, by the loop's clock."""
        return self._since

    def look(self, now: float, bounds: ConnectionBounds) -> bool:
        """Close the connection where the client is late; says whether it was."""
        if self._does_not_read(now, bounds.body_s):
            self._give_up()
            self.transport.abort()
            return True
        if self.transport.is_closing():
            return False
        if self.is_answering:
            late = self._reading is _BODY and self._body_is_late(now, bounds.body_s)
        else:
            late = now - self._since > self._patience(bounds.head_s)
        if late:
            self._end(b"" if self._reading is _NOTHING else _TOO_SLOW)
        return late

    def _patience(self, head_s: float) -> float:
        """For how many seconds nothing that is worked on is waited for."""
        if self._reading is _BODY:
            return _LINGER_S
        is_kept = self._reading is _NOTHING and self.cycle is not None
        return max(head_s, self.timeout_keep_alive) if is_kept else head_s

    def _does_not_read(self, now: float, window_s: float) -> bool:
        """Is there still as much to be sent as a while ago?"""
        unsent = self.transport.get_write_buffer_size()
        if unsent and self._unsent and now - self._unsent_since <= window_s:
            return False
        stuck = bool(unsent and self._unsent) and unsent > self._unsent - SLOWEST * window_s
        self._unsent, self._unsent_since = unsent, now
        return stuck

    def _body_is_late(self, now: float, window_s: float) -> bool:
        if self.flow.read_paused:  # it is we who do not read
            self._since, self._body_bytes = now, 0
        if now - self._since <= window_s:
            return False
        late = self._body_bytes < SLOWEST * window_s
        self._since, self._body_bytes = now, 0
        return late

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._unanswered = deque[RequestResponseCycle]()

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_lost()
        self._give_up()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        """Tell each request that its client is gone: uvicorn tells only the last one, and only after a moment."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()

    def data_received(self, data: bytes) -> None:
        """Before a head is over, the parser gets a little at a time, and no more than a whole head may have."""
        while data and not self.transport.is_closing():
            if self._reading is _BODY:
                part, data = data, b""
                self._framing += len(part)
                super().data_received(part)
                if self._reading is _BODY and self._framing > MOST_HEAD_BYTES:
                    self._end(_INVALID)
            else:
                data = self._read_head(data)

    def _read_head(self, data: bytes) -> bytes:
        """Parse a part of what came; returns the rest."""
        self._begin_head()
        size = min(_HEAD_PART, MOST_HEAD_BYTES - self._head_bytes)
        part, rest = (data, b"") if len(data) <= size else (data[:size], data[size:])
        self._head_bytes += len(part)
        super().data_received(part)
        is_full = bool(rest) and self._head_bytes >= MOST_HEAD_BYTES
        if self._reading is _HEAD and (is_full or len(self.headers or ()) > MOST_HEADERS):
            self._end(_HEAD_TOO_LARGE)
        return rest

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours say more
        """What uvicorn does with a request that can't be parsed, or that was refused while it was."""
        self._end(self._refusal)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise TooMuch
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MOST_HEADERS:
            self._refusal = _HEAD_TOO_LARGE
            raise TooMuch
        super().on_headers_complete()
        self._unanswered.append(self.cycle)
        self.headers = []  # trailers come here, not among the headers of a request that is worked on
        self._reading, self._since = _BODY, self.loop.time()
        self._body_bytes = self._framing = 0

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._framing -= len(body) * (1 + _FRAMING)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._reading, self._since = _NOTHING, self.loop.time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._unanswered:
            self._unanswered.popleft()
        self._since = self.loop.time()

    def _begin_head(self) -> None:
        if self._reading is not _HEAD:
            self._reading, self._since, self._head_bytes = _HEAD, self.loop.time(), 0

    def _end(self, answer: bytes) -> None:
        """Close, with an answer where none is on its way."""
        is_this_ones = self._reading is _BODY and not self.pipeline and not self.cycle.response_started
        if answer and (not self.is_answering or is_this_ones):
            self.transport.write(answer)
        self._give_up()
        self.transport.close()

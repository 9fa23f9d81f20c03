"""Requests with hostile bytes wherever a client may put some: no answer may be a server error.

Schemathesis knows only what the OpenAPI document says, and sends only what an HTTP library writes. These are written by
hand, byte by byte: names in paths, query parameters, headers, cookies, bodies and forms, of the pages as of the REST
interface. First each path parameter meets each hostile name; then chance decides, from a seed.
"""

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_from_bytes

from starlette.routing import Mount, Route

from app.http.access import SESSION_COOKIE
from tests.app.fuzzing import Fuzzed, known_names
from tests.app.live import SECRET, Live

NAMES = (
    "%00", "a%00b", "%ed%a0%80", "%ff%fe", "%c0%80", "%zz", "%", "%2", ".", "..", "%2e%2e", "%2E", "%2f", "..%2f..",
    "%5c..", "", "%0d%0aX: y", "%7f%1b", "{collection}", "*", "%22%3Cscript%3E", "external%3Ashop%2F1", "%f0%9f%90%b1",
    "%ef%bf%bf", "%e2%80%ae", "a" * 300, "%f0%9f%90%b1" * 700, "0" * 64 + "%0a", "PETS", "-1", "9" * 30, ";a=b",
    "a?b=c", "a#b", "[", "%25%30%30",
)  # fmt: skip
"""As they are in a path: percent-encoded, badly encoded, not encoded."""
TEXTS = (
    "\x00", "a\x00b", "\ud800", "\udc00\ud800", "\ufffe", "\x7f\x1b[2J", "\r\nX: y", "", " ", "\u202e", "🐱" * 1_200,
    "a" * 5_000, "a-b" * 3_000, "'; DROP TABLE images; --", "%00", "../../etc/passwd", "{{ 7 * 7 }}", "<script>",
    "\\", '"', "NaN", "P1D\x00", "9" * 4_000, "https://[", "\ud83d",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 2**64, 10**400, 1e308, -0.0, 0.1, [], {}, [[]], {"": ""}, [None] * 100,
    {"a": {"b": "\x00"}},
)  # fmt: skip
RAW = (b"\xff\xfe", b"\xed\xa0\x80", b"\x01\x02", b"\x80" * 50, b"a" * 9_000, b"\xc3\xa9", b'"', b"=", b";;,,")
TYPES = (
    "application/json", "application/x-www-form-urlencoded", "application/x-ndjson", "application/octet-stream", "",
    "/", "application/json; charset=idna", "multipart/form-data", "multipart/form-data; boundary=b",
    'multipart/form-data; boundary=b; charset="unicode_escape"', 'multipart/form-data; boundary=b; charset="utf-16"',
)  # fmt: skip
HEADERS = (
    "Accept", "Accept-Encoding", "Authorization", "Content-Type", "Cookie", "Host", "Idempotency-Key", "If-Match",
    "If-Modified-Since", "If-None-Match", "Origin", "Range", "Referer", "Sec-Fetch-Site", "Traceparent",
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id",
)  # fmt: skip
PAGE_FIELDS = ("collection", "query", "field", "cursor")
_SCENE: dict[str, Any] = {
    "summary": "a cat", "detail": "a cat on a sofa", "actions": ["sleeping"],
    "setting": {"place": "a room", "time_of_day": "dusk", "weather": "rain", "lighting": "soft"},
    "objects": [
        {"name": "cat", "count": 1, "attributes": ["small"], "box": {"x0": 0, "y0": 0, "x1": 1, "y1": 1},
         "colour": "red", "position": "top"},
    ],
    "relations": [{"subject": "cat", "predicate": "on", "object": "sofa"}], "visible_text": ["a"],
    "people": [{"count": 1, "role": "child", "clothing": ["hat"], "doing": "sitting"}], "style": "photograph",
    "medium": "photograph", "absent": ["a dog"],
}  # fmt: skip
_QUERY: dict[str, Any] = {
    "query": "a cat", "k": 3, "filter": {"metadata.year": {"gte": 1}, "description.style": "a"}, "fields": ["objects"],
    "cursor": None,
}  # fmt: skip
_PUT = {"description": _SCENE, "external_id": "1", "uri": "file:///a", "metadata": {"year": {"a": [1]}}}
_MADE = {
    "name": "made", "search_log": "off", "search_log_expiry": "P1D", "engine": "basic", "engine_model": "m",
    "encoder": None, "retention": "discard", "third_party_consent": False,
}  # fmt: skip
_CHANGES = ("search_log", "search_log_expiry", "engine", "third_party_consent")


@dataclass(frozen=True)
class Operation:
    """A method of a path, with the names of what it takes in its query."""

    method: str
    path: str
    asks: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The parameters of the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def is_page(self) -> bool:
        return not self.path.startswith("/v1/")


def operations(server: Live) -> list[Operation]:
    """Every endpoint and every page."""
    found = []
    for path, methods in server.app.openapi()["paths"].items():
        for method, told in methods.items():
            asks = tuple(one["name"] for one in told.get("parameters", ()) if one["in"] == "query")
            found.append(Operation(method.upper(), path, asks))
    for route in server.app.routes:
        if isinstance(route, Mount):
            found.append(Operation("GET", f"{route.path}/{{file}}"))
        elif isinstance(route, Route):
            asks = ("token",) if route.path == "/login" else ()
            found += [Operation(method, route.path, asks) for method in sorted(route.methods or ())]
    return found


def good_body(operation: Operation, known: Mapping[str, str]) -> Any:
    """A body that this operation takes."""
    collection, image = known["collection"], known["image_id"]
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/v1/collections"): _MADE,
        ("PATCH", "/v1/collections/{collection}"): {name: _MADE[name] for name in _CHANGES},
        ("POST", "/search"): _QUERY,
        ("POST", "/search/batch"): {"queries": [_QUERY | {"cursor": "eyJvZmZzZXQiOjEsIm9mIjoxfQ=="}]},
        ("POST", "/search/explain"): {"query": "a cat", "image_id": image, "fields": ["objects"]},
        ("POST", "/feedback"): {"image_id": image, "verdict": "relevant"},
        ("PUT", "/images/{image_id}"): _PUT,
        ("PATCH", "/images/{image_id}"): {"metadata": {"year": 1, "b": {"c": ["d"]}}},
        ("PUT", "/description"): _SCENE,
        ("POST", "/bulk"): {"id": "1", "description": _SCENE, "uri": "file:///a", "metadata": {"a": "b"}},
        ("POST", "/v1/jobs"): {"kind": "ingest", "collection": collection, "source": "/allowed/a"},
        ("POST", "/v1/keys"): {"collection": collection, "scope": "search", "name": "n", "expires_in_days": 1},
    }
    fits = [
        body for (method, end), body in bodies.items() if method == operation.method and operation.path.endswith(end)
    ]
    return fits[0] if fits else {}


def each_changed(body: Any, hostile: str) -> Iterator[Any]:
    """The body, each time with another of its texts hostile, and with a hostile name of a field."""
    if isinstance(body, dict):
        yield {**body, hostile: "x"}
        for name, part in body.items():
            yield from ({**body, name: changed} for changed in each_changed(part, hostile))
    elif isinstance(body, list):
        yield from ([changed, *body[1:]] for changed in each_changed(body[0], hostile))
    else:
        yield hostile


@dataclass
class Hostile:
    """Sends requests to a server; `faults` holds those that were answered as none may be."""

    server: Live
    known: Mapping[str, str]
    chance: random.Random
    key: str
    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def each_name(self, names: Sequence[str] = NAMES) -> None:
        """Every path parameter meets every hostile name, the others being good."""
        for operation in operations(self.server):
            for name in operation.names:
                for hostile in names:
                    self._send(operation, self._path(operation, {name: hostile}), b"")

    def each_text(self) -> None:
        """Every text of every body, and every parameter of every query, meets what Postgres can't store."""
        for operation in operations(self.server):
            path = self._path(operation, {})
            for one in operation.asks:
                for hostile in ("%00", "%ed%a0%80"):
                    self._send(operation, path + f"?{one}={hostile}&follow=false".encode(), b"")
            body = good_body(operation, self.known)
            changed = [part for hostile in ("a\x00b", "\ud800") for part in each_changed(body, hostile)]
            for one in changed if operation.method != "DELETE" else ():
                self._send(operation, path, json.dumps(one).encode())

    def by_chance(self, cases: int) -> None:
        """So many requests, hostile in one place or in several."""
        every = operations(self.server)
        for _ in range(cases):
            operation = self.chance.choice(every)
            hostile = {name: self.chance.choice(NAMES) for name in operation.names if self._maybe(0.3)}
            if operation.method == "DELETE" and operation.names:  # what is known must stay for the others
                hostile[operation.names[-1]] = self._octets()
            path = self._path(operation, hostile) + self._asked(operation)
            more = self.chance.sample(HEADERS, self.chance.choice((0, 0, 1, 2)))
            raw = RAW + tuple(text.encode("utf-8", "replace") for text in TEXTS)
            self._send(operation, path, None, {name: self.chance.choice(raw) for name in more})

    def _path(self, operation: Operation, hostile: Mapping[str, str]) -> bytes:
        path = operation.path
        for name in operation.names:
            path = path.replace(f"{{{name}}}", hostile.get(name, self.known.get(name, "x")))
        return path.encode()

    def _send(
        self, operation: Operation, path: bytes, body: bytes | None, more: Mapping[str, bytes] | None = None
    ) -> None:
        """Without a body that is given, one that chance makes."""
        headers = self._headers(operation)
        if body is None:
            body = self._body(operation, headers)
        headers |= {**(more or {}), "Content-Length": str(len(body)).encode()}
        lines = [operation.method.encode() + b" " + path.replace(b" ", b"%20") + b" HTTP/1.1"]
        lines += [name.encode() + b": " + value for name, value in headers.items()]
        self._exchange(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def _headers(self, operation: Operation) -> dict[str, bytes]:
        headers = {"Host": self.server.url[7:].encode(), "Connection": b"close", "Content-Type": b"application/json"}
        if operation.is_page or self._maybe(0.2):
            cookie = f"{SESSION_COOKIE}={SECRET.sign_session('person', time.time() + 600)}"
            return headers | {"Cookie": cookie.encode(), "Origin": self.server.url.encode()}
        return headers | {"Authorization": f"Bearer {self.key}".encode(), "If-Match": b'"1"'}

    def _asked(self, operation: Operation) -> bytes:
        asked = [f"{name}={quote(self._text(), errors='replace')}" for name in operation.asks if self._maybe(0.5)]
        asked += [f"{self._octets()}={self._octets()}"] if self._maybe(0.1) else []
        return ("?" + "&".join(asked)).encode() if asked else b""

    def _body(self, operation: Operation, headers: dict[str, bytes]) -> bytes:
        if operation.method in {"GET", "HEAD"}:
            return b""
        if operation.is_page:
            return self._form(headers)
        if self._maybe(0.1):
            headers["Content-Type"] = self.chance.choice(TYPES).encode()
        if self._maybe(0.05):
            return self.chance.choice(RAW)
        if self._maybe(0.05):
            levels = self.chance.choice((70, 300, 900, 5_000))
            return b'{"metadata":{"a":' * (operation.method == "PATCH") + b"[" * levels + b"]" * levels + b"}}"
        return json.dumps(self._mutated(good_body(operation, self.known))).encode()

    def _form(self, headers: dict[str, bytes]) -> bytes:
        good = {"collection": self.known["collection"], "query": "a cat"}
        fields = [(name, self._octets() if self._maybe(0.4) else quote(good.get(name, ""))) for name in PAGE_FIELDS]
        headers["Content-Type"] = b"application/x-www-form-urlencoded"
        if self._maybe(0.8):
            return "&".join(f"{name}={value}" for name, value in fields).encode()
        headers["Content-Type"] = self.chance.choice(TYPES).encode()
        part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
        parts = [
            part.format(name, self.chance.choice(("\\ud800", good["collection"], value))) for name, value in fields
        ]
        return ("".join(parts) + "--b--\r\n").encode()

    def _mutated(self, body: Any) -> Any:
        """A body with one part of it, at any depth, hostile."""
        if isinstance(body, dict) and body and self._maybe(0.9):
            name = self.chance.choice(list(body))
            if self._maybe(0.1):
                return {**body, self._text(): body[name]}
            return {**body, name: self._mutated(body[name])}
        if isinstance(body, list) and body and self._maybe(0.8):
            return [self._mutated(body[0]), *body[1:]]
        return self._text() if self._maybe(0.7) else self.chance.choice(VALUES)

    def _text(self) -> str:
        if self._maybe(0.8):
            return self.chance.choice(TEXTS)
        return "".join(chr(self.chance.randrange(0x110000)) for _ in range(self.chance.choice((1, 9, 900, 3_900))))

    def _octets(self) -> str:
        """Percent-encoded bytes, or a hostile name."""
        if self._maybe(0.6):
            return self.chance.choice(NAMES)
        return quote_from_bytes(self.chance.randbytes(self.chance.choice((1, 5, 300))), safe="")

    def _maybe(self, share: float) -> bool:
        return self.chance.random() < share

    def _exchange(self, request: bytes) -> None:
        """Send it; whatever is not answered, or is answered as a server error, is a fault."""
        self.cases += 1
        host, port = self.server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(request)
            answer = b"".join(_parts(connection))
        status = answer[9:12]
        self.statuses[status.decode("latin-1")] += 1
        if not answer.startswith(b"HTTP/1.1 ") or not b"100" <= status < b"500":
            self.faults.append(f"{request[:600]!r}… ({len(request)} bytes) -> {answer[:15]!r} {answer[-400:]!r}")


def _parts(connection: socket.socket) -> Iterator[bytes]:
    receive: Callable[[], bytes] = lambda: connection.recv(65_536)  # noqa: E731
    yield from iter(receive, b"")


def meet(server: Live, collection: str, *, cases: int, seed: int, names: Sequence[str] = NAMES) -> Fuzzed:
    """Hostile names in every path parameter, hostile texts in every body, then `cases` more by chance."""
    key = server.key("*", "admin")
    hostile = Hostile(server, known_names(server, key, collection), random.Random(seed), key)
    hostile.each_name(names)
    hostile.each_text()
    hostile.by_chance(cases)
    with server.client(key) as client:
        client.get(f"/v1/collections/{collection}").raise_for_status()  # what was met was there to the end
    report = [f"{len(hostile.faults)} of {hostile.cases} hostile requests met a fault"]
    report += [f"answers by status: {dict(hostile.statuses)}", *hostile.faults[:20]]
    return Fuzzed(hostile.cases, not hostile.faults, "\n".join(report))

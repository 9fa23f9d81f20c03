"""Who asks is known before a body is read; bodies that come slowly take no one's place."""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.middleware.admission import Admission
from scenes.errors import Overloaded
from tests.app.live import Live, live

PLACES = 8
SEARCH = "/v1/collections/pets/search"


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets", most=PLACES) as running:
        yield running


def begun(stack: ExitStack, server: Live, path: str, *headers: str, length: int = 50) -> socket.socket:
    """A request that has sent its head and one byte of its body."""
    host, port = server.url.removeprefix("http://").split(":")
    sent = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        *headers,
    ]
    sent.sendall("\r\n".join([*lines, "", "{"]).encode())
    return sent


def answer(sent: socket.socket) -> str:
    """What was answered within two seconds."""
    sent.settimeout(2)
    came = b""
    with contextlib.suppress(TimeoutError):
        while b"\r\n\r\n" not in came or not came.endswith((b"}", b">\n", b"</html>")):
            more = sent.recv(65_536)
            if not more:
                break
            came += more
    return came.decode()


@pytest.mark.postgres
@pytest.mark.http
@pytest.mark.parametrize("path", [SEARCH, "/v1/collections", "/v1/collections/pets/bulk", "/", "/healthz", "/nothing"])
def test_without_a_key_no_body_is_waited_for(server: Live, path: str) -> None:
    with ExitStack() as stack, server.client(server.key("pets", "search")) as other:
        assert other.get("/openapi.json").is_success  # made once; a 405 needs it
        slow = [begun(stack, server, path) for _ in range(3 * PLACES)]
        wrong = [begun(stack, server, path, "Authorization: Bearer ws_wrong") for _ in range(PLACES)]
        assert other.post(SEARCH, json={"query": "a dog"}).status_code == 200
        status = {"/healthz": "405", "/nothing": "404"}.get(path, "401")
        assert {answer(one)[9:12] for one in [*slow, *wrong]} == {status}


@pytest.mark.postgres
@pytest.mark.http
def test_slow_bodies_of_one_key_leave_room_for_others(server: Live) -> None:
    key = f"Authorization: Bearer {server.key('pets', 'ingest')}"
    with ExitStack() as stack, server.client(server.key("pets", "ingest")) as other:
        paths = [SEARCH, "/v1/collections/pets/searches/x/feedback", "/v1/collections/pets/bulk"]
        slow = [begun(stack, server, path, key) for path in paths for _ in range(2 * PLACES)]
        until = time.monotonic() + 10  # so many heads at once may take every place for a moment
        while other.post(SEARCH, json={"query": "a dog"}).status_code == 429 and time.monotonic() < until:
            time.sleep(0.1)
        for _ in range(3):
            assert other.post(SEARCH, json={"query": "a dog"}).status_code == 200
            assert other.post("/v1/collections/pets/bulk", content=b'{"id": "1", "text": "a dog"}').status_code == 200
        answers = [answer(one) for one in slow[-PLACES:]]
        assert {one[9:12] for one in answers} == {"429"}
        assert any("too_many_slow_bodies" in one for one in answers)
        slow[0].sendall(b'"query": "a dog"'.ljust(48) + b"}")
        assert answer(slow[0])[9:12] == "200"


@pytest.mark.postgres
@pytest.mark.http
@pytest.mark.parametrize("path", [SEARCH, "/v1/collections/pets/search/batch"])
def test_a_body_that_grows_past_its_bound_is_too_large_whoever_reads_it(server: Live, path: str) -> None:
    with server.client(server.key("pets", "search")) as client:
        sent = {"Content-Type": "application/json"}
        refused = client.post(path, content=(b" " * 1_000 for _ in range(100)), headers=sent)
    assert (refused.status_code, refused.json()["code"]) == (413, "request_too_large")


@given(st.lists(st.sampled_from("abcdefgh"), max_size=200), st.integers(1, 20))
def test_however_many_keys_send_slowly_the_next_one_finds_room(keys: list[str], most: int) -> None:
    admission, waiting = Admission(most), list[str]()
    for key in keys:
        admission.begin()
        with contextlib.suppress(Overloaded):
            admission.await_body(key)
            waiting.append(key)
    assert admission.awaited == len(waiting) <= 2 * most
    if len(waiting) < 2 * most:
        admission.begin()
        admission.await_body("next")
        admission.body_came("next")
        admission.pause()
    for key in waiting:
        admission.body_came(key)
    for _ in keys:
        admission.pause()
    assert (admission.awaited, admission.is_full) == (0, False)

"""The openai engine against a small real server: bounded concurrency, Retry-After, back-off, time limits."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from captioner.engines.engine import Answer, EngineFault, Picture, Reply, Request
from captioner.engines.openai import OpenAIDescriber, Server
from scenes.outcome import FailureReason
from scenes.recipe import CaptionRecipe, Sampling

pytestmark = pytest.mark.http
RECIPE = CaptionRecipe(engine="openai", model="m", prompt="scene-1")
GOOD = json.dumps({"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], "usage": {}}).encode()
Says = Callable[[int], tuple[int, dict[str, str], bytes, float]]


class Log:
    """When requests came, and how many were open at a time."""

    def __init__(self) -> None:
        self.came: list[float] = []
        self.open = self.most = 0
        self.lock = threading.Lock()


@contextmanager
def serving(says: Says) -> Iterator[tuple[str, Log]]:
    """A server that answers its n-th request with (status, headers, body) after some seconds."""
    log = Log()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with log.lock:
                log.came.append(time.monotonic())
                n, log.open = len(log.came), log.open + 1
                log.most = max(log.most, log.open)
            status, headers, body, seconds = says(n)
            time.sleep(seconds)
            with log.lock:
                log.open -= 1
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", log
    finally:
        server.shutdown()
        server.server_close()


def ask(url: str, n: int, **patience: float) -> list[Answer]:
    describer = OpenAIDescriber(Server(url, None, **patience), RECIPE)  # type: ignore[arg-type]
    pictures = [Picture(f"{i:064x}", Image.new("RGB", (8, 8))) for i in range(n)]
    futures = [describer.submit(Request(picture, Sampling())) for picture in pictures]
    answers = [future.result(timeout=60) for future in futures]
    describer.close()
    return answers


def test_no_more_requests_are_with_the_server_than_agreed() -> None:
    with serving(lambda _n: (200, {}, GOOD, 0.05)) as (url, log):
        answers = ask(url, 20, concurrency=3)
    assert all(isinstance(answer, Reply) for answer in answers)
    assert (log.most, len(log.came)) == (3, 20)


def test_retry_after_is_honoured() -> None:
    def busy_once(n: int) -> tuple[int, dict[str, str], bytes, float]:
        return (429, {"Retry-After": "0.7"}, b"", 0.0) if n == 1 else (200, {}, GOOD, 0.0)

    with serving(busy_once) as (url, log):
        (answer,) = ask(url, 1, first_wait=0.01)
    assert isinstance(answer, Reply)
    assert log.came[1] - log.came[0] >= 0.7


def test_tries_back_off_and_end() -> None:
    with serving(lambda _n: (503, {}, b"", 0.0)) as (url, log):
        (answer,) = ask(url, 1, tries=4, first_wait=0.1)
    waits = [later - earlier for earlier, later in zip(log.came, log.came[1:], strict=False)]
    assert isinstance(answer, EngineFault)
    assert len(log.came) == 4
    assert [wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True)] == [True] * 3


def test_a_server_that_is_silent_is_a_timeout_and_a_refusal_is_told_at_once() -> None:
    with serving(lambda _n: (200, {}, GOOD, 1.0)) as (url, _):
        (late,) = ask(url, 1, timeout=0.2, tries=2, first_wait=0.01)
    with serving(lambda _n: (400, {}, b"the prompt is too long", 0.0)) as (url, log):
        (refused,) = ask(url, 1, tries=5)
    assert isinstance(late, EngineFault)
    assert late.reason == FailureReason.TIMEOUT
    assert isinstance(refused, EngineFault)
    assert ("400" in refused.detail, "too long" in refused.detail, len(log.came)) == (True, True, 1)

"""Engines that answer one request at a time become describers through a few threads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from captioner.engines.engine import Answer, EngineFault, Request
from scenes.outcome import FailureReason


class Threads:
    """Runs `ask` on `n` threads; what it raises becomes a fault of that request alone."""

    def __init__(self, ask: Callable[[Request], Answer], n: int, ahead: int = 2) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(n, thread_name_prefix="engine")
        self.slots = n + ahead

    def submit(self, request: Request) -> "Future[Answer]":
        return self._pool.submit(self._one, request)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, request: Request) -> Answer:
        try:
            return self._ask(request)
        except Exception as error:  # noqa: BLE001 - one picture's trouble in a model must not cost another's reply
            return EngineFault(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:300])

"""A device in NumPy that obeys the protocol: half-precision brute force, with failures on order."""

import threading
import time
from collections.abc import Callable

import numpy as np

from indexer.encoding.encoder import Vectors
from indexer.vectors.device_thread import Answer
from indexer.vectors.faiss_gpu import HALF_ROUNDING, MOST
from indexer.vectors.vector_store import VectorStore


class ScriptedDevice:
    """Does `script(call number)` before it answers; notes batch sizes, its threads, and whether calls overlapped."""

    name = "a scripted device"
    rounding = HALF_ROUNDING
    most = MOST

    def __init__(self, store: VectorStore, script: Callable[[int], None] = lambda _call: None, lie: float = 0) -> None:
        self._vectors = np.asarray(store.vectors).astype(np.float16)
        self._script, self.lie = script, lie
        self._inside = threading.Lock()
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.overlapped = False

    def search(self, queries: Vectors, k: int) -> Answer:
        if not self._inside.acquire(blocking=False):
            self.overlapped = True
            raise AssertionError("two threads at once")
        try:
            self.batches.append(len(queries))
            self.threads.add(threading.get_ident())
            self._script(len(self.batches))
            return self._nearest(queries, k)
        finally:
            self._inside.release()

    def _nearest(self, queries: Vectors, k: int) -> Answer:
        scores = queries.astype(np.float16).astype(np.float32) @ self._vectors.astype(np.float32).T
        places = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, places, axis=1) + np.float32(self.lie), places.astype(np.int64)


def sleeping(seconds: float, since: int) -> Callable[[int], None]:
    """A script that takes its time from a call on."""
    return lambda call: time.sleep(seconds if call >= since else 0)


def failing(since: int) -> Callable[[int], None]:
    """A script that fails from a call on."""

    def script(call: int) -> None:
        if call >= since:
            raise RuntimeError("CUDA error: out of memory")

    return script

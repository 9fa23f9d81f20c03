"""One thread that talks to a device, and shares batches among those who ask: devices take no concurrent readers."""

import logging
import queue
import threading
import weakref
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors

MAX_BATCH = 64
_MAX_WAITING = 1_024
_log = logging.getLogger(__name__)
Answer: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores and places, (queries, k) each, best first; place −1 where there are fewer."""


class Device(Protocol):
    """An index on a device, called by one thread at a time. Its scores are off by `rounding` at most."""

    name: str
    rounding: float
    most: int

    def search(self, queries: Vectors, k: int) -> Answer:
        """The k ≤ `most` best of each query, float32 (n, dim)."""
        ...


class Left(Exception):
    """A device does not answer this one, for a `reason`; where it `ends`, it answers none any more."""

    def __init__(self, reason: str, why: str, *, ends: bool = False) -> None:
        super().__init__(why)
        self.reason = reason
        self.ends = ends


@dataclass(slots=True)
class _Asked:
    queries: Vectors
    k: int
    answer: "Future[Answer]"


_Queue: TypeAlias = "queue.Queue[_Asked | None]"


class DeviceThread:
    """Asks a device for any number of threads."""

    def __init__(self, device: Device, silent_s: float) -> None:
        """An answer that does not come within `silent_s` is not waited for any longer."""
        self._silent_s = silent_s
        self._queue: _Queue = queue.Queue(_MAX_WAITING)
        threading.Thread(target=_work, args=(device, self._queue), name="gpu-replica", daemon=True).start()
        weakref.finalize(self, _stop, self._queue)

    def ask(self, queries: Vectors, k: int) -> Answer:
        """Raises `Left`: `busy`, `device_silent`, `device_failed`."""
        asked = _Asked(np.ascontiguousarray(queries, np.float32), k, Future())
        try:
            self._queue.put_nowait(asked)
        except queue.Full:
            raise Left("busy", "too many queries wait for the device") from None
        try:
            return asked.answer.result(self._silent_s)
        except TimeoutError:
            raise Left("device_silent", f"no answer within {self._silent_s:g} s", ends=True) from None
        except Exception as error:
            raise Left("device_failed", f"{type(error).__name__}: {error}", ends=True) from error


def _work(device: Device, asked: _Queue) -> None:
    """The device's one thread: waiting queries share a batch, up to `MAX_BATCH` of them."""
    while (first := asked.get()) is not None:
        batch, closing = _batched(first, asked)
        try:
            k = max(one.k for one in batch)
            answer = device.search(np.concatenate([one.queries for one in batch]), k)
            _share(batch, answer)
        except Exception as error:  # noqa: BLE001 - it is told to everyone who waits
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
        if closing:
            return


def _batched(first: _Asked, asked: _Queue) -> tuple[list[_Asked], bool]:
    batch, size = [first], len(first.queries)
    while size < MAX_BATCH:
        try:
            more = asked.get_nowait()
        except queue.Empty:
            break
        if more is None:
            return batch, True
        batch.append(more)
        size += len(more.queries)
    return batch, False


def _share(batch: list[_Asked], answer: Answer) -> None:
    rough, places = answer
    start = 0
    for one in batch:
        end = start + len(one.queries)
        one.answer.set_result((rough[start:end, : one.k], places[start:end, : one.k]))
        start = end


def _stop(asked: _Queue) -> None:
    """The thread ends when nobody can ask any more; a thread that hangs in its device ends with the process."""
    try:
        asked.put_nowait(None)
    except queue.Full:
        _log.error("a GPU replica's thread does not take its end: its device hangs")

"""Reading ahead of the engine: bytes in, decoded pictures out, a bounded number of them at a time."""

import os
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

from captioner.images import decoding
from captioner.images.decoding import Decoded, Wanted
from captioner.sources import Item
from captioner.sources.item import Lost
from scenes.identity import external_image_id, image_id
from scenes.outcome import Failed, FailureReason, Refused, Usage

READERS = 8
READ_AHEAD = 32
MOST_HELD_BYTES = 256_000_000
"""Of images that come out of a stream with their bytes; a larger one waits until nothing else is held."""

_DECODERS = threading.Semaphore(max(2, os.cpu_count() or 2))
_PATIENCE_S = 0.2


@dataclass(frozen=True, slots=True)
class Read:
    """One image read: decoded, an outcome already, or 'known': nothing is left to do for it."""

    uri: str
    image_id: str
    result: Decoded | Refused | Failed | Literal["known"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The source has no more: how many items it gave, and what broke it, if anything."""

    given: int
    error: BaseException | None


def read(item: Item, wanted: Wanted, is_known: Callable[[str], bool]) -> Read:
    """Read one image and decode it unless it is known; a read that fails is a `Failed` under a hash of its URI."""
    try:
        data = item.read(decoding.MAX_BYTES)
    except OSError as error:
        key = external_image_id(item.uri)
        detail = f"{type(error).__name__}: {error.strerror or error}"
        reason = FailureReason.UPLOAD_LOST if isinstance(error, Lost) else FailureReason.READ_ERROR
        return Read(item.uri, key, Failed(image_id=key, reason=reason, detail=detail, usage=_NOTHING))
    key = image_id(data)
    if is_known(key):
        return Read(item.uri, key, "known")
    with _DECODERS:
        return Read(item.uri, key, decoding.decode(key, data, wanted))


class Held:
    """So many bytes may be held at a time; more than that only alone."""

    def __init__(self, most: int) -> None:
        self._most, self._now = most, 0
        self._changed = threading.Condition()

    def take(self, n: int, is_over: Callable[[], bool]) -> bool:
        """Wait for room for `n` bytes; False where it is over before there is."""
        with self._changed:
            while self._now and self._now + n > self._most:
                if is_over():
                    return False
                self._changed.wait(_PATIENCE_S)
            self._now += n
        return True

    def give_back(self, n: int) -> None:
        """`n` bytes are held no more."""
        with self._changed:
            self._now -= n
            self._changed.notify_all()


class Reader:
    """Feeds `inbox` with `Future[Read]` and, at the end, one `Ended`; `taken()` makes room for one more."""

    def __init__(self, items: Iterable[Item], work: Callable[[Item], Read], inbox: "queue.SimpleQueue[object]") -> None:
        self._items, self._work, self._inbox = items, work, inbox
        self._room = threading.Semaphore(READ_AHEAD)
        self._held = Held(MOST_HELD_BYTES)
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._thread = threading.Thread(target=self._feed, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def taken(self) -> None:
        """One read has left the pipeline's first stage."""
        self._room.release()

    def close(self) -> None:
        """Begin nothing new; what is being read is dropped."""
        self._closed.set()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _feed(self) -> None:
        given, broke = 0, None
        try:
            for item in self._items:
                if not self._has_room() or not self._held.take(item.held_bytes, self._closed.is_set):
                    break
                self._pool.submit(self._work, item).add_done_callback(partial(self._done, item.held_bytes))
                given += 1
        except BaseException as error:  # noqa: BLE001 - told to the pipeline's thread, which raises it
            broke = error
        self._inbox.put(Ended(given, broke))

    def _has_room(self) -> bool:
        while not self._closed.is_set():
            if self._room.acquire(timeout=_PATIENCE_S):
                return not self._closed.is_set()
        return False

    def _done(self, held_bytes: int, future: "Future[Read]") -> None:
        self._held.give_back(held_bytes)
        if not future.cancelled():
            self._inbox.put(future)


_NOTHING = Usage(attempts=0)

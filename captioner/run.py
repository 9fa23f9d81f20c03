"""The pipeline: read and decode ahead of the engine, describe in batches, write every outcome."""

import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType

from captioner import decoding
from captioner.attempts import describe
from captioner.batches import BatchFolder, Record
from captioner.decoding import Decoded
from captioner.describer import Describer
from captioner.sources import Item
from scenes.identity import external_image_id, image_id
from scenes.outcome import Described, Failed, FailureReason, Refused, Usage

READERS = 2
READ_AHEAD = 16
ENGINE_BATCH = 8
RECORDS_A_FILE = 64
SECONDS_A_FILE = 10.0

Known = Callable[[Sequence[str]], set[str]]


@dataclass
class Tally:
    """How a run ended: the four counts add up to `inputs`."""

    described: int = 0
    refused: int = 0
    failed: int = 0
    already: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    stopped: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)

    @property
    def inputs(self) -> int:
        return self.described + self.refused + self.failed + self.already

    def add(self, outcome: Described | Refused | Failed) -> None:
        setattr(self, outcome.kind, getattr(self, outcome.kind) + 1)
        self.tokens_in += outcome.usage.tokens_in
        self.tokens_out += outcome.usage.tokens_out
        if not isinstance(outcome, Described):
            self.reasons[outcome.reason.value] += 1
        if not isinstance(outcome, Refused):
            self.attempts[outcome.usage.attempts] += 1


@dataclass(frozen=True, slots=True)
class Read:
    """One image read: decoded, or an outcome already."""

    uri: str
    image_id: str
    result: Decoded | Refused | Failed


class Stop:
    """Set by SIGTERM and Ctrl-C: the batch in hand is finished and written, nothing new is begun."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        return self._event.is_set()

    def set(self, *_: object) -> None:
        self._event.set()

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        """Listen to SIGINT and SIGTERM inside the block; a second signal ends the process at once."""
        before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def heard(number: int, _frame: FrameType | None) -> None:
            self.set()
            signal.signal(number, before[number])

        for number in before:
            signal.signal(number, heard)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def caption(
    items: Iterable[Item],
    describer: Describer,
    folder: BatchFolder,
    *,
    known: Known,
    stop: Stop,
    tick: Callable[[Tally], None] = lambda _tally: None,
) -> Tally:
    """Describe every item that is not known yet and write the outcomes as batches.

    `known` tells which image ids are finished under this recipe elsewhere. A stop loses nothing: what was described
    is written. Images with the same bytes are described once; the others count as `already`.
    """
    tally, started = Tally(), time.monotonic()
    writer = _Writer(folder)
    finished = folder.finished()
    reads = _read_ahead(items, describer.recipe.max_side_px, stop)
    try:
        for batch in _chunks(reads, ENGINE_BATCH):
            finished |= known([read.image_id for read in batch if read.image_id not in finished])
            for record in _outcomes(batch, describer, finished, tally, stop):
                tally.add(record.outcome)
                writer.add(record)
            tick(tally)
    finally:
        writer.flush()
    tally.stopped = stop()
    tally.seconds = time.monotonic() - started
    return tally


def _outcomes(
    batch: Sequence[Read], describer: Describer, finished: set[str], tally: Tally, stop: Stop
) -> Iterator[Record]:
    todo: list[Read] = []
    for read in batch:
        if read.image_id in finished:
            tally.already += 1
            continue
        if isinstance(read.result, Decoded):
            todo.append(read)
        else:
            yield Record(read.result, read.uri)
        if not isinstance(read.result, Failed):
            finished.add(read.image_id)
    decoded = [read.result for read in todo if isinstance(read.result, Decoded)]
    for read, outcome in zip(todo, describe(describer, decoded, stop) if decoded else [], strict=True):
        if isinstance(outcome, Failed):
            finished.discard(read.image_id)
        yield Record(outcome, read.uri)


def read(item: Item, max_side_px: int) -> Read:
    """Read and decode one image; a read that fails is a `Failed` under a hash of its URI."""
    try:
        data = item.read(decoding.MAX_BYTES)
    except OSError as error:
        key = external_image_id(item.uri)
        detail = f"{type(error).__name__}: {error.strerror or error}"
        failed = Failed(image_id=key, reason=FailureReason.READ_ERROR, detail=detail, usage=Usage(attempts=0))
        return Read(item.uri, key, failed)
    result = decoding.decode(data, max_side_px)
    return Read(item.uri, image_id(data), result)


def _read_ahead(items: Iterable[Item], max_side_px: int, stop: Stop) -> Iterator[Read]:
    """Reads in order, at most `READ_AHEAD` of them ahead of who takes them."""
    source = iter(items)
    with ThreadPoolExecutor(READERS, thread_name_prefix="read") as pool:
        ahead: deque[Future[Read]] = deque(pool.submit(read, item, max_side_px) for item in islice(source, READ_AHEAD))
        while ahead and not stop():
            yield ahead.popleft().result()
            ahead.extend(pool.submit(read, item, max_side_px) for item in islice(source, 1))
        for future in ahead:
            future.cancel()


def _chunks(reads: Iterator[Read], size: int) -> Iterator[list[Read]]:
    while chunk := list(islice(reads, size)):
        yield chunk


class _Writer:
    def __init__(self, folder: BatchFolder) -> None:
        self._folder = folder
        self._records: list[Record] = []
        self._since = time.monotonic()

    def add(self, record: Record) -> None:
        self._records.append(record)
        if len(self._records) >= RECORDS_A_FILE or time.monotonic() - self._since > SECONDS_A_FILE:
            self.flush()

    def flush(self) -> None:
        if self._records:
            self._folder.write(self._records)
            self._records = []
        self._since = time.monotonic()

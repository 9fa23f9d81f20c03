"""The pipeline: source → read and decode → engine → gates → batches, every stage bounded, the engine never waiting.

One thread holds all state and is told everything through one inbox: reads, answers, redacted outcomes. Requests to
the engine and their answers overlap with reading, decoding, redacting and writing.
"""

import queue
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from captioner.batches import latest_records
from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable
from captioner.batches.rows import Record
from captioner.engines.engine import Describer
from captioner.images.decoding import Decoded, Wanted
from captioner.images.near_duplicates import Follower, NearDuplicates
from captioner.pipeline.lookup import Known, SharedLookup
from captioner.pipeline.reading import READERS, Ended, Read, Reader, read
from captioner.pipeline.stop import Stop
from captioner.pipeline.tally import Tally
from captioner.pipeline.writing import Writer
from captioner.prompting.attempts import Manner, converse
from captioner.prompting.conversation import Answered, Talks
from captioner.sources import Item
from scenes.outcome import Described, Failed, Refused

PATIENCE_S = 30.0
_POLL_S = 0.2
_TRIED = 1

Gated = Described | Failed
Redact = Callable[[Gated], Gated]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes. A budget that is reached ends it cleanly; `round` is 0, or which retry this is.

    `redact` is the last gate, None for none; `first_attempt` above 1 asks warmer from the start.
    """

    budget_tokens: int | None = None
    budget_seconds: float | None = None
    records_a_file: int = 256
    round: int = 0
    first_attempt: int = 1
    redact: Redact | None = None


@dataclass(frozen=True, slots=True)
class _Gated:
    """An event: an outcome went through the last gate."""

    uri: str
    future: "Future[Gated]"


def caption(
    items: Iterable[Item],
    describer: Describer,
    folder: BatchFolder,
    *,
    plan: Plan = Plan(),
    known: Known | None = None,
    stop: Stop | None = None,
    tick: Callable[[Tally], None] = lambda _tally: None,
    finished: IdTable | None = None,
) -> Tally:
    """Describe every item that is not known yet and write the outcomes as batches under the folder's recipe.

    `known` says which image ids are finished under this recipe elsewhere; it is asked for several at a time. `finished`
    are those that are finished here, by default what the folder holds. Images with the same bytes are tried once a run;
    the others count as `already`. A stop lets open requests end, for `PATIENCE_S` at most. Raises what the source and
    `known` raise, after writing, and `EnvironmentMissing` (`out_unwritable`).
    """
    table = latest_records.finished(folder) if finished is None else finished
    recipe = folder.recipe
    wanted = Wanted(recipe.max_side_px, recipe.exif, recipe.near_duplicates is not None)
    elsewhere = SharedLookup(known, READERS) if known else None

    def is_known(image_id: str) -> bool:
        return bool(table.get(image_id)) or (elsewhere is not None and elsewhere(image_id))

    try:
        line = _Line(describer, folder, plan, stop or Stop(), table)
        return line.run(Reader(items, lambda item: read(item, wanted, is_known), line.inbox), tick)
    finally:
        table.close()


class _Line:
    """The state of one run; only its own thread touches it."""

    def __init__(self, describer: Describer, folder: BatchFolder, plan: Plan, stop: Stop, table: IdTable) -> None:
        self._describer, self._manner = describer, Manner(folder.recipe, describer.can_verify, plan.first_attempt)
        self._plan, self._stop, self._table = plan, stop, table
        self._writer = Writer(folder, plan.records_a_file)
        self._gate = ThreadPoolExecutor(1, thread_name_prefix="gate")
        self._near = NearDuplicates()
        self._in_gate = self._reads = 0
        self._ended: Ended | None = None
        self._tally, self._started = Tally(), time.monotonic()
        self.inbox: queue.SimpleQueue[object] = queue.SimpleQueue()

    def run(self, reader: Reader, tick: Callable[[Tally], None]) -> Tally:
        self._reader = reader
        self._talks = Talks(self._describer, self.inbox.put, reader.taken)
        reader.start()
        try:
            self._work(tick)
        finally:
            reader.close()
            self._gate.shutdown(wait=True, cancel_futures=True)
            self._writer.flush()
        self._tally.seconds = time.monotonic() - self._started
        if self._ended and self._ended.error:
            raise self._ended.error
        return self._tally

    def _work(self, tick: Callable[[Tally], None]) -> None:
        """Until all is done, or, after a stop or a budget's end, until open requests ended or patience did."""
        until = float("inf")
        while not self._is_done() and time.monotonic() < until:
            if self._tally.ended_by is None and (why := self._why_end()):
                self._tally.ended_by = why
                self._talks.drop_new()
                until = time.monotonic() + PATIENCE_S
            self._take()
            self._writer.flush_if_due()
            self._tally.seconds = time.monotonic() - self._started
            tick(self._tally)

    def _is_done(self) -> bool:
        all_read = self._ended is not None and self._reads == self._ended.given
        return (all_read or self._tally.ended_by is not None) and not self._talks.jobs and not self._in_gate

    def _why_end(self) -> str | None:
        plan, tally = self._plan, self._tally
        if self._stop():
            return "signal"
        spent_tokens = plan.budget_tokens is not None and tally.tokens_in + tally.tokens_out >= plan.budget_tokens
        spent_time = plan.budget_seconds is not None and tally.seconds >= plan.budget_seconds
        return "budget" if spent_tokens or spent_time else None

    def _take(self) -> None:
        """Wait a little for one event and handle it."""
        try:
            event = self.inbox.get(timeout=_POLL_S)
        except queue.Empty:
            return
        self._handle(event)

    def _handle(self, event: object) -> None:
        if isinstance(event, Answered):
            self._answered(event)
        elif isinstance(event, _Gated):
            self._in_gate -= 1
            self._settle(event.future.result(), event.uri)
        elif isinstance(event, Ended):
            self._ended = event
        elif isinstance(event, Future):
            self._was_read(event.result())

    def _was_read(self, one: Read) -> None:
        self._reads += 1
        if isinstance(one.result, Decoded) and self._tally.ended_by is not None:
            return
        if one.result == "known" or self._table.get(one.image_id):
            self._tally.already += 1
            self._reader.taken()
        elif isinstance(one.result, Decoded):
            self._table.put(one.image_id, _TRIED)
            self._begin(one, one.result)
        else:
            self._table.put(one.image_id, _TRIED)
            self._write(one.result, one.uri)
            self._reader.taken()

    def _begin(self, one: Read, decoded: Decoded) -> None:
        """Ask the engine, or share what is said of an image that looks the same."""
        leader = self._near.leader(one.image_id, decoded.look) if decoded.look else None
        if leader is None:
            self._talks.begin(one.uri, converse(decoded, self._manner))
            return
        self._reader.taken()
        outcome = self._near.follow(leader, Follower(one.uri, one.image_id, decoded.notes, decoded.exif))
        if outcome is not None:
            self._write(outcome, one.uri)

    def _answered(self, event: Answered) -> None:
        ready = self._talks.answered(event)
        if ready is None:
            return
        if self._plan.redact is None:
            self._settle(ready.outcome, ready.job.uri)
            return
        self._in_gate += 1
        uri = ready.job.uri
        future = self._gate.submit(self._plan.redact, ready.outcome)
        future.add_done_callback(lambda done: self.inbox.put(_Gated(uri, done)))

    def _settle(self, outcome: Gated, uri: str) -> None:
        """Write an outcome, and those that waited for it."""
        self._write(outcome, uri)
        for record in self._near.settled(outcome, self._plan.round):
            self._write(record.outcome, record.uri)

    def _write(self, outcome: Described | Refused | Failed, uri: str) -> None:
        self._tally.add(outcome)
        self._writer.add(Record(outcome, uri, self._plan.round))

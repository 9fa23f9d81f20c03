"""How a run goes, told to other terminals: a small file beside the batches, written every second or two."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioner.batches.folder import BatchFolder
from captioner.engines.options import tellable
from captioner.pipeline.tally import Pace, Tally
from captioner.sources import Shard, items
from captioner.sources.archives import TARS
from scenes.errors import WordsightError

_EVERY_S = 2.0
_FOLDER = "runs"


@dataclass(frozen=True, slots=True)
class Progress:
    """A run as another terminal sees it."""

    source: str
    shard: str
    total: int | None
    inputs: int
    described: int
    refused: int
    failed: int
    already: int
    tokens_in: int
    tokens_out: int
    images_a_second: float
    images_a_second_overall: float
    seconds_left: float | None
    complete: bool
    updated: float
    engine_options: list[str]


class Journal:
    """Counts the source beside the run and writes `runs/<source and shard>.json` as the run goes."""

    def __init__(self, batches: BatchFolder, source: str, shard: Shard, engine_options: Sequence[str] = ()) -> None:
        """`engine_options` are remembered for `retry`, but for what looks like a secret."""
        self._options = tellable(engine_options)
        self._source, self._shard = source, f"{shard.index or shard.count}/{shard.count}"
        key = hashlib.sha256(f"{source}\0{self._shard}".encode()).hexdigest()[:16]
        self._path = batches.folder / _FOLDER / f"{key}.json"
        self._pace, self._last = Pace(), 0.0
        self.total = Counted(source, shard)

    def see(self, tally: Tally) -> Progress:
        """Take the present counts; writes at most every two seconds."""
        self._pace.mark(tally.inputs)
        now = self._progress(tally, complete=False)
        if time.monotonic() - self._last > _EVERY_S:
            self._write(now)
        return now

    def end(self, tally: Tally) -> None:
        """The run is over."""
        self._write(self._progress(tally, complete=tally.ended_by is None))

    def _progress(self, tally: Tally, *, complete: bool) -> Progress:
        total = tally.inputs if complete else self.total.value
        left = max(0, total - tally.inputs) if total is not None else None
        return Progress(
            source=self._source,
            shard=self._shard,
            total=total,
            **{name: getattr(tally, name) for name in ("inputs", "described", "refused", "failed", "already")},
            tokens_in=tally.tokens_in,
            tokens_out=tally.tokens_out,
            images_a_second=round(self._pace.recent, 3),
            images_a_second_overall=round(self._pace.overall, 3),
            seconds_left=None if left is None else self._pace.seconds_left(left),
            complete=complete,
            updated=time.time(),
            engine_options=self._options,
        )

    def _write(self, now: Progress) -> None:
        """Only news, no truth: written without fsync; a reader sees the old or the new."""
        self._path.parent.mkdir(exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}.part")
        body = {name: getattr(now, name) for name in Progress.__slots__}
        beside.write_text(json.dumps(body))
        beside.replace(self._path)
        self._last = time.monotonic()


class Counted:
    """How many images a source has, counted in the background; None while unknown or where only reading would tell."""

    def __init__(self, source: str, shard: Shard) -> None:
        self.value: int | None = None
        self._shard = shard
        if _is_countable(source):
            threading.Thread(target=self._count, args=(source,), name="count", daemon=True).start()

    def _count(self, source: str) -> None:
        try:
            self.value = sum(1 for _ in self._shard.of(items(source)))
        except (WordsightError, OSError):
            return  # the run itself meets the same and tells it


def runs(batches: BatchFolder) -> list[dict[str, Any]]:
    """What is known of the runs into a folder."""
    return [json.loads(path.read_text()) for path in sorted((batches.folder / _FOLDER).glob("*.json"))]


def last_engine_options(batches: BatchFolder) -> list[str]:
    """The engine options of the latest run into a folder, as words of a command line."""
    latest = max(runs(batches), key=lambda run: float(run["updated"]), default=None)
    return list(latest.get("engine_options", [])) if latest else []


def pending(batches: BatchFolder, settled: int) -> int | None:
    """How many images of all known sources have no outcome yet; None while a source is not counted."""
    known = runs(batches)
    if any(run["total"] is None for run in known):
        return None
    if all(run["complete"] for run in known):
        return 0
    return max(0, sum(int(run["total"]) for run in known) - settled)


def _is_countable(source: str) -> bool:
    name = Path(source).name
    return "://" not in source and not name.endswith((*TARS[1:], ".parquet"))

"""How far a folder of batches is: counted over the records that stand."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from captioner.batches.repeated_descriptions import Clones
from captioner.pipeline import progress
from scenes.outcome import Described


@dataclass
class Status:
    """Counts over all recipes of a folder; `pending` is None where a source's size is not known."""

    pending: int | None = 0
    described: int = 0
    refused: int = 0
    failed: int = 0
    clones: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    runs: list[dict[str, Any]] = field(default_factory=list)


def status(out: Path) -> Status:
    """The status of `caption run --out`. Raises `BadInput` (`batches_missing`) and `Corrupt` (`batch_corrupt`)."""
    found = Status()
    for batches in BatchFolder.all_in(out):
        _add(found, batches)
    return found


def _add(found: Status, batches: BatchFolder) -> None:
    before = found.described + found.refused + found.failed
    with closing(Clones(batches)) as clones:
        for record in standing(batches):
            outcome = record.outcome
            setattr(found, outcome.kind, getattr(found, outcome.kind) + 1)
            found.tokens_in += outcome.usage.tokens_in
            found.tokens_out += outcome.usage.tokens_out
            found.clones += clones.has(record)
            if not isinstance(outcome, Described):
                found.reasons[outcome.reason.value] += 1
    settled = found.described + found.refused + found.failed - before
    more = progress.pending(batches, settled)
    found.pending = None if more is None or found.pending is None else found.pending + more
    found.runs += progress.runs(batches)

"""Trying again what ended for a reason: finding its images once more where they were read."""

from collections.abc import Iterator
from contextlib import closing

from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable, hex_id
from captioner.batches.latest_records import standing
from captioner.batches.repeated_descriptions import Clones
from captioner.batches.rows import Record
from captioner.sources import Item, container, items
from scenes.errors import BadInput
from scenes.outcome import Failed, FailureReason

ALL = "all"
REASONS = (*(reason.value for reason in FailureReason), ALL)


def checked_reason(reason: str) -> str:
    """Raises `BadInput` (`reason_unknown`)."""
    if reason not in REASONS:
        raise BadInput("reason_unknown", f"nothing fails for the reason {reason!r}", fix=f"one of {', '.join(REASONS)}")
    return reason


def wanted(batches: BatchFolder, reason: str) -> Iterator[Record]:
    """The standing records to try again: failures of a reason, of all, or clones."""
    if reason != FailureReason.CLONE:
        yield from (r for r in standing(batches) if isinstance(r.outcome, Failed) and _fits(r.outcome, reason))
        return
    with closing(Clones(batches)) as clones:
        yield from (record for record in standing(batches) if clones.has(record))


def items_again(batches: BatchFolder, reason: str) -> Iterator[Item]:
    """The images of `wanted`, each archive or table read once however many of its members are wanted."""
    with closing(IdTable()) as uris, closing(IdTable()) as opened:
        for record in wanted(batches, reason):
            uris.put(hex_id(record.uri), 1)
        for record in wanted(batches, reason):
            source = container(record.uri)
            if not opened.put(hex_id(source), 1):
                yield from (item for item in items(source) if uris.get(hex_id(item.uri)))


def next_round(batches: BatchFolder) -> int:
    """The number of the next retry: one above all rounds so far."""
    return 1 + max((row["round"] for row in batches.rows(["round"])), default=0)


def _fits(outcome: Failed, reason: str) -> bool:
    return reason in {ALL, outcome.reason.value}

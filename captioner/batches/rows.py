"""A record as one flat row, and back: what a batch file holds of an outcome."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from scenes.outcome import Described, Failed, FailureReason, Outcome, Refused

_OUTCOMES: TypeAdapter[Described | Refused | Failed] = TypeAdapter(Outcome)
_USAGE = ("tokens_in", "tokens_out", "seconds", "attempts")
_OF_KIND = {"described": ("notes",), "refused": ("reason", "detail"), "failed": ("reason", "detail", "last_reply")}
_BASE = {"failed": 1, "refused": 100, "described": 150}
_LAST_ROUND = 49
_NOT_ASKED = (
    None, FailureReason.READ_ERROR, FailureReason.ENGINE_ERROR, FailureReason.TIMEOUT, FailureReason.UPLOAD_LOST
)  # fmt: skip
SETTLED = _BASE["refused"]
"""Ranks from here on need no more work."""


@dataclass(frozen=True, slots=True)
class Record:
    """An outcome, where its image was read from, and the round it came from: 0, or which retry."""

    outcome: Described | Refused | Failed
    uri: str
    round: int = 0


def rank(kind: str, round_: int, reason: str | None = None) -> int:
    """1…199: of two records of an image the higher holds; a description outranks a refusal outranks a failure.

    Of two failures of one round, what the engine said of the image outranks that it could not be asked, so that it
    does not matter when a server was away.
    """
    if kind != "failed":
        return _BASE[kind] + min(round_, _LAST_ROUND)
    return _BASE[kind] + 2 * min(round_, _LAST_ROUND - 1) + (reason not in _NOT_ASKED)


def to_row(record: Record) -> dict[str, Any]:
    """The columns of a record; those that its kind lacks are left out."""
    outcome = record.outcome
    row = {"image_id": outcome.image_id, "outcome": outcome.kind, "uri": record.uri, "round": record.round}
    row |= outcome.usage.model_dump()
    if isinstance(outcome, Described):
        row["description"] = outcome.description.model_dump_json(exclude_defaults=True)
        row["support"] = json.dumps(outcome.support)
        row["exif"] = json.dumps(outcome.exif)
        row["notes"] = list(outcome.notes)
    else:
        row["reason"] = outcome.reason.value
        row["detail"] = outcome.detail
    if isinstance(outcome, Failed):
        row["last_reply"] = outcome.last_reply
    return row


def from_row(row: dict[str, Any]) -> Record:
    """The record of a row. Raises `ValueError` for a row that no record gives."""
    body: dict[str, Any] = {"kind": row["outcome"], "image_id": row["image_id"]}
    body |= {name: row[name] for name in _OF_KIND[row["outcome"]]}
    body["usage"] = {name: row[name] for name in _USAGE}
    if row["outcome"] == "described":
        body |= {name: json.loads(row[name]) for name in ("description", "support", "exif")}
    return Record(_OUTCOMES.validate_python(body), row["uri"], row["round"])

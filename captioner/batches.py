"""Batches: immutable, content-addressed Parquet files, one row an outcome, in a folder named by the recipe."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from scenes.artifact import write_file
from scenes.errors import BadInput, Corrupt
from scenes.outcome import Described, Failed, Outcome, Refused
from scenes.recipe import CaptionRecipe

_RECIPE = "recipe.json"
_OUTCOMES: TypeAdapter[Described | Refused | Failed] = TypeAdapter(Outcome)
_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("description", pa.string()),
        ("support", pa.string()),
        ("notes", pa.list_(pa.string())),
        ("last_reply", pa.string()),
        ("uri", pa.string()),
        ("tokens_in", pa.int64()),
        ("tokens_out", pa.int64()),
        ("seconds", pa.float64()),
        ("attempts", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Record:
    """An outcome and where its image was read from."""

    outcome: Described | Refused | Failed
    uri: str


class BatchFolder:
    """All batches under one recipe: `DIR/<recipe fingerprint>/<sha256>.parquet`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def for_recipe(cls, out: Path, recipe: CaptionRecipe) -> "BatchFolder":
        folder = out / recipe.fingerprint()
        if not (folder / _RECIPE).is_file():
            write_file(folder / _RECIPE, recipe.model_dump_json(indent=1).encode())
        return cls(folder)

    @classmethod
    def all_in(cls, out: Path) -> list["BatchFolder"]:
        """The batch folders of all recipes. Raises `BadInput` (`batches_missing`)."""
        found = [cls(path.parent) for path in sorted(out.glob(f"*/{_RECIPE}"))]
        if not found:
            raise BadInput("batches_missing", f"{out} holds no batches", fix="wordsight caption run SOURCE --out DIR")
        return found

    @property
    def recipe(self) -> CaptionRecipe:
        return CaptionRecipe.model_validate_json((self.folder / _RECIPE).read_bytes())

    def write(self, records: Sequence[Record]) -> Path:
        """Write one batch; the same records give the same file."""
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([_row(record) for record in records], schema=_SCHEMA), buffer)
        path = self.folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.parquet"
        if not path.exists():
            write_file(path, buffer.getvalue())
        return path

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    def read(self, path: Path) -> list[Record]:
        """The records of one batch file. Raises `Corrupt` (`batch_corrupt`)."""
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.stem:
            raise Corrupt("batch_corrupt", f"{path} was altered or cut", fix="remove it and caption again")
        return [_record(row) for row in pq.read_table(io.BytesIO(data), schema=_SCHEMA).to_pylist()]

    def records(self) -> Iterator[Record]:
        for path in self.files():
            yield from self.read(path)

    def finished(self) -> set[str]:
        """Ids of images that are described or refused: nothing is left to do for them."""
        done: set[str] = set()
        for path in self.files():
            table = pq.read_table(path, columns=["image_id", "outcome"])
            pairs = zip(table["image_id"].to_pylist(), table["outcome"].to_pylist(), strict=True)
            done.update(image_id for image_id, outcome in pairs if outcome != "failed")
        return done


def latest(records: Iterable[Record]) -> list[Record]:
    """One record an image: a description outranks a refusal, a refusal outranks a failure, also of the same URI."""
    rank = {"described": 2, "refused": 1, "failed": 0}
    best: dict[str, Record] = {}
    for record in records:
        known = best.get(record.outcome.image_id)
        if known is None or rank[record.outcome.kind] > rank[known.outcome.kind]:
            best[record.outcome.image_id] = record
    settled = {record.uri for record in best.values() if record.outcome.kind != "failed"}
    return [one for one in best.values() if one.outcome.kind != "failed" or one.uri not in settled]


def _row(record: Record) -> dict[str, Any]:
    outcome = record.outcome
    row = {"image_id": outcome.image_id, "outcome": outcome.kind, "uri": record.uri, **outcome.usage.model_dump()}
    if isinstance(outcome, Described):
        row["description"] = outcome.description.model_dump_json(exclude_defaults=True)
        row["support"] = json.dumps(outcome.support)
        row["notes"] = list(outcome.notes)
    else:
        row["reason"] = outcome.reason.value
        row["detail"] = outcome.detail
    if isinstance(outcome, Failed):
        row["last_reply"] = outcome.last_reply
    return row


def _record(row: dict[str, Any]) -> Record:
    kept = {"described": ("notes",), "refused": ("reason", "detail"), "failed": ("reason", "detail", "last_reply")}
    body: dict[str, Any] = {"kind": row["outcome"], "image_id": row["image_id"]}
    body |= {name: row[name] for name in kept[row["outcome"]]}
    body["usage"] = {name: row[name] for name in ("tokens_in", "tokens_out", "seconds", "attempts")}
    if row["outcome"] == "described":
        body |= {"description": json.loads(row["description"]), "support": json.loads(row["support"])}
    return Record(_OUTCOMES.validate_python(body), row["uri"])

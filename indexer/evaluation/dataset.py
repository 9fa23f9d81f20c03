"""Retrieval sets to measure on: BEIR folders (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv).

A corpus line holds `_id` and either `text` (a plain caption, with an optional `title` before it) or `description`
(a structured description), so that both kinds of galleries are measured alike.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenes.description import SceneDescription
from scenes.errors import BadInput

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Documents, queries and which document is right: `relevant` maps query id → {document id: grade > 0}."""

    name: str
    document_ids: tuple[str, ...]
    documents: tuple[SceneDescription, ...]
    query_ids: tuple[str, ...]
    queries: tuple[str, ...]
    relevant: Mapping[str, Mapping[str, int]]


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(alias="_id", min_length=1)
    title: str = ""
    text: str = ""
    description: SceneDescription | None = None

    def described(self) -> SceneDescription:
        return self.description or SceneDescription.from_text(f"{self.title}\n{self.text}".strip())


class _Query(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(alias="_id", min_length=1)
    text: str = Field(min_length=1)


def read_beir(folder: Path, split: str = "test") -> Dataset:
    """Read a BEIR folder; queries without a judgement are left out, as is usual.

    Raises `BadInput` (`dataset_invalid`) with the file and line.
    """
    corpus = [_parsed(_Document, *line) for line in _lines(folder / "corpus.jsonl")]
    queries = [_parsed(_Query, *line) for line in _lines(folder / "queries.jsonl")]
    relevant = _judgements(folder / "qrels" / f"{split}.tsv")
    _check_ids(folder, [document.id for document in corpus], relevant)
    judged = [query for query in queries if query.id in relevant]
    if not judged:
        raise BadInput("dataset_invalid", f"no query of {folder} has a judgement in qrels/{split}.tsv")
    return Dataset(
        name=folder.name,
        document_ids=tuple(document.id for document in corpus),
        documents=tuple(_described(folder, document) for document in corpus),
        query_ids=tuple(query.id for query in judged),
        queries=tuple(query.text for query in judged),
        relevant=relevant,
    )


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) for each line that is not blank. Raises `BadInput` (`dataset_invalid`)."""
    for place, line in _lines(path):
        body = _loaded(place, line)
        if not isinstance(body, dict):
            raise BadInput("dataset_invalid", f"{place}: a line must be a JSON object")
        yield place, body


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("dataset_invalid", f"{path} can't be read: {error}", fix="name a BEIR folder") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _loaded(place: str, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise BadInput("dataset_invalid", f"{place}: not JSON: {error}") from error


def _parsed(kind: type[_M], place: str, line: str) -> _M:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput("dataset_invalid", f"{place}: {where}: {first['msg']}") from error


def _described(folder: Path, document: _Document) -> SceneDescription:
    try:
        return document.described()
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"]
        raise BadInput("dataset_invalid", f"{folder}: document {document.id!r}: {message}") from error


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = {}
    for place, line in list(_lines(path))[1:]:
        row = next(csv.reader([line], delimiter="\t"))
        try:
            query, document, grade = row[0], row[1], int(row[2])
        except (IndexError, ValueError) as error:
            raise BadInput("dataset_invalid", f"{place}: wanted query id, document id and a whole number") from error
        if grade > 0:
            relevant.setdefault(query, {})[document] = grade
    return relevant


def _check_ids(folder: Path, ids: list[str], relevant: Mapping[str, Mapping[str, int]]) -> None:
    known = set(ids)
    if len(known) != len(ids):
        raise BadInput("dataset_invalid", f"{folder}: corpus.jsonl names a document twice")
    missing = {document for judged in relevant.values() for document in judged} - known
    if missing:
        raise BadInput("dataset_invalid", f"{folder}: qrels name {len(missing)} documents that corpus.jsonl lacks")

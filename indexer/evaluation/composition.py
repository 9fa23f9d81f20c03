"""Composition: does the true caption score above its hard negative against the image's description?

The rows are those of SugarCrepe-style sets: `caption`, `negative`, `kind`, and either the `document` itself or the
`doc_id` of one in the retrieval set. The blind figure asks the same of another image's document: a ranker that
looks only at which caption sounds likelier would do well there, an honest one is near one half.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.evaluation.dataset import Dataset, json_lines
from indexer.evaluation.intervals import Interval, interval
from scenes.description import SceneDescription
from scenes.errors import BadInput

PairScorer = Callable[[Sequence[str], Sequence[SceneDescription]], NDArray[np.float32]]
"""Scores float32 (n,) of n queries, each against the description in its place; higher is better."""
_BLIND_SHIFT = 0.5
"""The blind document is the one half the rows further on: always another image where rows are sorted by kind."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    caption: str = Field(min_length=1)
    negative: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    doc_id: str | None = None
    document: str | SceneDescription | None = None


@dataclass(frozen=True, slots=True)
class Minimal:
    """A minimal pair: which of two captions fits the description?"""

    caption: str
    negative: str
    kind: str
    image: str
    description: SceneDescription


@dataclass(frozen=True, slots=True)
class Composition:
    """Accuracy by kind (`all` among them) and the blind accuracy; `right` bool (n,) in the rows' order."""

    kinds: Mapping[str, Interval]
    blind: Interval
    right: NDArray[np.bool_]


def read_composition(path: Path, dataset: Dataset) -> tuple[Minimal, ...]:
    """Read minimal pairs. Raises `BadInput` (`dataset_invalid`) with file and line."""
    known = dict(zip(dataset.document_ids, dataset.documents, strict=True))
    return tuple(_minimal(place, body, known) for place, body in json_lines(path))


def composed(rows: Sequence[Minimal], scorer: PairScorer) -> Composition:
    """Measure a ranker on minimal pairs; a tie is a miss."""
    right = _preferred(rows, [row.description for row in rows], scorer)
    blind = _preferred(rows, _others(rows), scorer)
    images = [row.image for row in rows]
    kinds = {"all": interval(right.astype(np.float64), images)}
    for kind in sorted({row.kind for row in rows}):
        chosen = [position for position, row in enumerate(rows) if row.kind == kind]
        kinds[kind] = interval(right[chosen].astype(np.float64), [images[position] for position in chosen])
    return Composition(kinds, interval(blind.astype(np.float64), images), right)


def _preferred(
    rows: Sequence[Minimal], descriptions: Sequence[SceneDescription], scorer: PairScorer
) -> NDArray[np.bool_]:
    true = scorer([row.caption for row in rows], descriptions)
    false = scorer([row.negative for row in rows], descriptions)
    preferred: NDArray[np.bool_] = true > false
    return preferred


def _others(rows: Sequence[Minimal]) -> list[SceneDescription]:
    shift = max(1, int(len(rows) * _BLIND_SHIFT))
    others = []
    for position, row in enumerate(rows):
        turned = (rows[(position + shift + step) % len(rows)] for step in range(len(rows)))
        others.append(next((other.description for other in turned if other.image != row.image), row.description))
    return others


def _minimal(place: str, body: dict[str, object], known: Mapping[str, SceneDescription]) -> Minimal:
    try:
        row = _Row.model_validate(body)
        description = _description(row, known)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput("dataset_invalid", f"{place}: {where}: {first['msg']}") from error
    if description is None:
        raise BadInput("dataset_invalid", f"{place}: names no `document`, and the dataset has no {row.doc_id!r}")
    return Minimal(row.caption, row.negative, row.kind, row.doc_id or place, description)


def _description(row: _Row, known: Mapping[str, SceneDescription]) -> SceneDescription | None:
    if isinstance(row.document, str):
        return SceneDescription.from_text(row.document)
    return row.document or known.get(row.doc_id or "")

"""Two encoders on the same questions: how much of an answer stays, and whether what was expected is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from indexer.retrieval.encoders import OpenEncoder
from indexer.retrieval.request import SearchRequest
from indexer.retrieval.retriever import Retriever
from scenes.catalog import images
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.errors import BadInput

Source = Literal["stored", "golden"]


@dataclass(frozen=True, slots=True)
class Question:
    """A query that was asked, or a golden one with the image that must be found, by image id or external id."""

    query: str
    source: Source
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """`overlap` is the mean share of the first k that both answers hold; `same_first` how often the best is the same;
    `rank_change` the mean distance in places of those that both hold; None where there was nothing to measure.

    `found_before` and `found_after` are the shares of golden questions whose image is among the first k.
    """

    questions: int
    golden: int
    overlap: float | None
    same_first: float | None
    rank_change: float | None
    found_before: float | None
    found_after: float | None
    most_changed: tuple[str, ...]


Ranked = Sequence[tuple[str, str | None]]
"""An answer: (image id, external id), best first."""
_SHOWN = 5


def compare(questions: Sequence[Question], before: Sequence[Ranked], after: Sequence[Ranked], k: int) -> Compared:
    """Answers to the same questions by two encoders. Raises `BadInput` (`questions_missing`) where there are none."""
    if not questions:
        raise BadInput(
            "questions_missing",
            "there is nothing to compare by: no golden queries, and no stored search kept its text",
            fix='--queries FILE with a JSON object a line: {"query": "…", "expected": "an image id or external id"}',
        )
    pairs = [(_places(old[:k]), _places(new[:k])) for old, new in zip(before, after, strict=True)]
    overlaps = [len(old.keys() & new.keys()) / max(len(old), len(new), 1) for old, new in pairs]
    moves = [abs(old[one] - new[one]) for old, new in pairs for one in old.keys() & new.keys()]
    firsts = [list(old)[:1] == list(new)[:1] for old, new in pairs]
    golden = [i for i, question in enumerate(questions) if question.expected is not None]
    least = np.argsort(overlaps, kind="stable")[:_SHOWN]
    return Compared(
        questions=len(questions),
        golden=len(golden),
        overlap=_mean(overlaps),
        same_first=_mean(firsts),
        rank_change=_mean(moves),
        found_before=_mean([_finds(before[i][:k], questions[i].expected) for i in golden]),
        found_after=_mean([_finds(after[i][:k], questions[i].expected) for i in golden]),
        most_changed=tuple(questions[i].query for i in least if overlaps[i] < 1),
    )


def _places(answer: Ranked) -> Mapping[str, int]:
    return {image_id: place for place, (image_id, _) in enumerate(answer)}


def _finds(answer: Ranked, expected: str | None) -> bool:
    return any(expected in names for names in answer)


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None


async def answers(
    catalog: Catalog,
    retriever: Retriever,
    collection: CollectionRow,
    encoder: str | None,
    queries: Sequence[str],
    k: int,
) -> list[Ranked]:
    """The first k images for each query, by an encoder that has vectors of the collection; nothing of it is stored.

    Raises as `Retriever.retrieve` does.
    """
    by = await retriever.encoders.of(encoder)
    return [await _answer(catalog, retriever, collection, by, SearchRequest(query, k)) for query in queries]


async def _answer(
    catalog: Catalog, retriever: Retriever, collection: CollectionRow, by: OpenEncoder, request: SearchRequest
) -> Ranked:
    found = await retriever.retrieve(collection, request, by)
    async with catalog.reading() as session:
        views = await images.by_rows(session, collection.id, found.rows)
    return [(views[row].image_id, views[row].external_id) for row in found.rows if row in views]

"""Words are read once, kept within their bound, and read anew when their collection has changed."""

from collections.abc import Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from indexer.tokens.late_interaction import Said
from indexer.tokens.token_cache import TokenCache
from scenes.catalog import embeddings

ENCODER: Any = SimpleNamespace(fingerprint=lambda: "encoder")


class NoCatalog:
    """Lets everything be read that a test puts in place of it."""

    @asynccontextmanager
    async def reading(self) -> Any:
        yield None


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The rows of each reading; rows from 100 on are gone."""
    asked: list[list[int]] = []

    async def words(_session: object, _collection: int, _encoder: object, rows: Sequence[int]) -> dict[int, np.ndarray]:
        asked.append(list(rows))
        return {row: np.full((2, 4), row, np.int8) for row in rows if row < 100}

    monkeypatch.setattr(embeddings, "words", words)
    return asked


def at(generation: int) -> Any:
    return SimpleNamespace(id=1, generation=generation)


def first_numbers(said: Said) -> list[int | None]:
    return [None if words is None else int(words[0, 0]) for words in said.each()]


async def test_words_are_read_once_a_generation(read: list[list[int]]) -> None:
    known = TokenCache(NoCatalog())  # type: ignore[arg-type]
    assert not known.at_hand(at(1), "encoder", [1, 2]).is_whole
    assert first_numbers(await known.by_rows(at(1), ENCODER, [1, 100, 2])) == [1, None, 2]
    assert known.at_hand(at(1), "encoder", [2, 1]).is_whole
    assert first_numbers(await known.by_rows(at(1), ENCODER, [3, 2])) == [3, 2]
    assert first_numbers(await known.by_rows(at(1), ENCODER, [3, 1])) == [3, 1]
    assert not known.at_hand(at(2), "encoder", [1]).is_whole
    assert not known.at_hand(at(1), "another", [1]).is_whole
    assert read == [[1, 100, 2], [3]]


async def test_what_was_read_last_stays_and_memory_is_bounded(read: list[list[int]]) -> None:
    known = TokenCache(NoCatalog(), most_bytes=48)  # type: ignore[arg-type]
    for row in range(1, 7):
        await known.by_rows(at(1), ENCODER, [row])
    assert first_numbers(known.at_hand(at(1), "encoder", [1, 2, 3])) == [1, 2, 3]
    assert first_numbers(known.at_hand(at(1), "encoder", [6, 1, 7])) == [6, 1, None]
    await known.by_rows(at(1), ENCODER, [7])
    assert first_numbers(known.at_hand(at(1), "encoder", [1, 4, 7])) == [None, 4, 7]
    assert first_numbers(await known.by_rows(at(1), ENCODER, [10, 11, 12, 13])) == [10, 11, 12, 13]
    assert first_numbers(known.at_hand(at(1), "encoder", [10, 4, 7])) == [None, 4, 7]

"""Shares against the plain definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.tokens.late_interaction import pack
from indexer.tokens.token_shares import word_shares


def unit_rows(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def plain(query: np.ndarray, words: np.ndarray, owner: np.ndarray, phrases: int) -> list[float]:
    products = query @ words.astype(np.float32).T
    gains = np.maximum(products.max(axis=1), 0)
    winners = owner[products.argmax(axis=1)]
    total = gains.sum() or 1.0
    return [float(gains[winners == one].sum() / total) for one in range(phrases)]


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=5), st.data())
def test_shares_are_those_of_the_definition(asked: int, shapes: list[tuple[int, int]], data: st.DataObject) -> None:
    query = unit_rows(0, asked)
    documents = [pack(unit_rows(seed, count)) for seed, (count, _) in enumerate(shapes, start=1)]
    owners = [
        np.array(data.draw(st.lists(st.integers(-1, phrases - 1), min_size=count, max_size=count)), np.int16)
        for count, phrases in shapes
    ]
    found = word_shares(query, documents, owners, [phrases for _, phrases in shapes])
    for shares, words, owner, (_, phrases) in zip(found, documents, owners, shapes, strict=True):
        assert np.allclose(shares, plain(query, words, owner, phrases), atol=2e-4)
        assert sum(round(10_000 * share) for share in shares) <= 10_000


def test_words_that_are_alike_share_and_words_between_phrases_keep_theirs() -> None:
    red, bus, snow = np.eye(3, 8, dtype=np.float32)
    words = pack(np.stack([red, bus, red, snow]))
    owners = np.array([0, 0, 1, -1], np.int16)
    assert word_shares(np.stack([red, bus, snow]), [words], [owners], [2]) == [[0.5, 0.1666]]


def test_what_fits_nothing_has_no_share() -> None:
    red, bus = np.eye(2, 8, dtype=np.float32)
    assert word_shares(red[None], [pack(-red[None]), pack(bus[None])], [np.zeros(1, np.int16)] * 2, [1, 1]) == [
        [0.0],
        [0.0],
    ]

"""MaxSim by words and by pairs of words, against the plain definition."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.encoding.token_head import WordHead, kept_tokens
from indexer.releases.index_reader import Found
from indexer.retrieval.ranking import Ranking
from indexer.tokens.late_interaction import Said, late_scores, pack
from indexer.tokens.maxsim import REACH

DIMENSIONS = st.sampled_from([8, 128])
"""Of word vectors: any, and those that are multiplied in tiles."""


def unit_rows(seed: int, count: int, dim: int = 8) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@given(st.integers(0, 9), st.lists(st.integers(0, 11), min_size=1, max_size=6), DIMENSIONS)
def test_scores_are_those_of_the_definition(words: int, lengths: list[int], dim: int) -> None:
    query = unit_rows(1, words, dim)
    packed = [pack(unit_rows(seed, length, dim)) for seed, length in enumerate(lengths, start=2)]
    scores = late_scores(query, Said.of(packed))
    for place, document in enumerate(packed):
        said = document.astype(np.float32) / 127
        there = bool(words and len(said))
        singly = np.mean([max(one @ other for other in said) for one in query]) if there else 0.0
        assert abs(scores[0, place] - singly) < 5e-5
        assert abs(scores[1, place] - (plain_pairs(query, said) if there else 0.0)) < 5e-5


@given(st.integers(1, 9), st.lists(st.integers(0, 11), min_size=1, max_size=6), DIMENSIONS)
def test_scores_do_not_depend_on_what_is_beside(words: int, lengths: list[int], dim: int) -> None:
    query = unit_rows(1, words, dim)
    packed = [pack(unit_rows(seed, length, dim)) for seed, length in enumerate(lengths, start=2)]
    together = late_scores(query, Said.of([None, *packed]))
    alone = [late_scores(query, Said.of([one])) for one in packed]
    assert np.array_equal(together, np.concatenate([np.zeros((2, 1), np.float32), *alone], axis=1))


def plain_pairs(query: np.ndarray, said: np.ndarray) -> float:
    spans = [(at, at + step) for at in range(len(said)) for step in range(REACH + 1) if at + step < len(said)]
    asked = list(pairwise(query)) or [(query[0], query[0])]
    likeness = [
        max(max(0, one @ said[first]) * max(0, other @ said[second]) for first, second in spans) for one, other in asked
    ]
    return float(np.mean(likeness))


def test_pairs_bind_a_colour_to_its_object() -> None:
    red, blue, bus, car = np.eye(4, 8, dtype=np.float32)
    query = np.stack([red, bus, blue, car])
    right, swapped = pack(query), pack(np.stack([blue, bus, red, car]))
    words, pairs = late_scores(query, Said.of([right, swapped]))
    assert abs(words[0] - words[1]) < 1e-6
    assert pairs[0] > pairs[1]


def test_words_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="8 numbers beside a query's of 7"):
        late_scores(unit_rows(1, 2)[:, :7], Said.of([pack(unit_rows(2, 3))]))


def test_candidates_are_ranked_by_words_and_ties_by_row() -> None:
    red, blue = np.eye(2, 8, dtype=np.float32)
    found = Found(np.array([3, 7, 9, 5]), np.array([0.9, 0.9, 0.9, 0.9], np.float32))
    words = {3: pack(blue[None]), 7: pack(red[None]), 5: pack(red[None])}
    ranked = Ranking().ranked(found, red[None], Said.at(words, found.rows))
    assert ranked.rows.tolist() == [5, 7, 3]
    assert Ranking().ranked(found, None, Said.of([])) is found


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=5))
def test_queries_ranked_together_are_ranked_as_alone(seed: int, shapes: list[tuple[int, int]]) -> None:
    random = np.random.default_rng(seed)
    queries = [unit_rows(seed + place, words) for place, (words, _) in enumerate(shapes)]
    found, documents = [], []
    for _, count in shapes:
        dense = np.sort(random.random(count).astype(np.float32))[::-1]
        found.append(Found(random.permutation(10)[:count], dense))
        lengths = random.integers(-1, 5, count).tolist()
        documents.append([None if n < 0 else pack(unit_rows(int(random.integers(99)), n)) for n in lengths])
    together = Ranking().ranked_each(found, queries, Said.of([one for mine in documents for one in mine]))
    for ranked, one, query, mine in zip(together, found, queries, documents, strict=True):
        alone = Ranking().ranked(one, query, Said.of(mine))
        assert np.array_equal(ranked.rows, alone.rows)
        assert np.array_equal(ranked.scores, alone.scores)


def test_words_are_tokens_with_a_letter_or_a_digit() -> None:
    kept = kept_tokens([("a", 0), (",", 1), ("##s", 2), ("[CLS]", 3), ("7", 4)], [3], 5)
    assert kept.tolist() == [True, False, True, False, True]
    hidden = np.arange(10, dtype=np.float32).reshape(5, 2) + 1
    words = WordHead(np.array([[1.0], [0.0]], np.float32), kept).words(hidden, [3, 0, 1])
    assert words.tolist() == [[1.0]]

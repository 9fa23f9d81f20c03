"""What was reached comes first, in the re-ranker's order; the rest follows as it stood."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.evaluation.composition import Minimal
from indexer.evaluation.dataset import Dataset
from indexer.evaluation.evaluating import evaluate
from indexer.releases.index_reader import Found
from indexer.reranking.cross_encoder import FolderReranker
from indexer.reranking.reranking import Reranker, Reranking, shown
from indexer.retrieval.ranking import Ranking
from scenes.description import SceneDescription
from tests.indexer.letters import BagOfLetters
from tests.indexer.reranking.rerankers import SharedWords, tiny_cross_encoder

TEXTS = ["A red bus in the snow.", "A cat.", "Dogs run along a beach, all day long.", "A bus, and beside it a red car."]


def real(folder: Path) -> Reranker:
    return FolderReranker.load(tiny_cross_encoder(folder))


@pytest.fixture(params=[pytest.param(real, marks=pytest.mark.encoder), lambda _folder: SharedWords()])
def reranker(request: pytest.FixtureRequest, tmp_path: Path) -> Reranker:
    make: Callable[[Path], Reranker] = request.param
    return make(tmp_path / "model")


def test_contract_one_finite_score_a_text(reranker: Reranker) -> None:
    scores = reranker.scores("a red bus", TEXTS)
    assert (scores.dtype, scores.shape, np.isfinite(scores).all()) == (np.float32, (4,), True)
    none = reranker.scores("a red bus", [])
    assert (none.dtype, none.shape) == (np.float32, (0,))
    assert reranker.name == reranker.name != ""


def test_contract_scores_depend_on_query_and_text_and_nothing_else(reranker: Reranker) -> None:
    scores = reranker.scores("a red bus", TEXTS)
    assert len(set(scores.tolist())) == len(TEXTS)
    assert np.abs(scores - reranker.scores("a cat", TEXTS)).max() > 1e-3
    turned = reranker.scores("a red bus", TEXTS[::-1])[::-1]
    alone = [reranker.scores("a red bus", [text])[0] for text in TEXTS]
    assert np.allclose(scores, turned, atol=1e-4)
    assert np.allclose(scores, alone, atol=1e-4)
    assert np.array_equal(scores, reranker.scores("a red bus", TEXTS))


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=2, unique=True))
def test_shown_scores_keep_the_order_above_all_others(pair: list[float]) -> None:
    low, high = sorted(pair)
    told = shown(np.array([low, high], np.float32))
    assert 2 <= told[0] <= told[1] <= 4
    if high - low > 1e-3:
        assert told[0] < told[1]


def test_what_is_no_number_comes_last() -> None:
    told = shown(np.array([np.nan, -1e9, np.inf, 0.0], np.float32))
    assert told.tolist() == pytest.approx([2.0, 2.0, 4.0, 3.0])


@dataclass
class Slow:
    """Scores by a text's number; each call takes 50 ms of a clock that nothing else moves."""

    name: str = "slow@0"
    now: float = 100.0

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        self.now += 0.05
        return np.array([float(text) for text in texts], np.float32)


def found(size: int) -> Found:
    return Found(np.arange(size) + 7, np.linspace(0.9, 0.1, size).astype(np.float32))


def numbered(one: Found) -> dict[int, str]:
    """Later candidates are better."""
    return {row: str(place) for place, row in enumerate(one.rows.tolist())}


@pytest.mark.parametrize(("budget_ms", "count"), [(1, 4), (49, 4), (51, 8), (120, 12), (10_000, 50)])
def test_batches_begin_until_the_budget_is_spent(budget_ms: int, count: int) -> None:
    slow, first = Slow(), found(60)
    reranking = Reranking(slow, timedelta(milliseconds=budget_ms), clock=lambda: slow.now)
    until = reranking.deadline()
    done = reranking.reranked(first, "q", numbered(first), until=until)
    assert done.count == count
    assert done.found.rows.tolist() == [*reversed(first.rows[:count].tolist()), *first.rows[count:].tolist()]
    assert done.found.scores[count:].tolist() == first.scores[count:].tolist()
    again = Reranking(slow).reranked(first, "q", numbered(first), most=count)
    assert again.found.rows.tolist() == done.found.rows.tolist()


def test_a_budget_that_was_spent_waiting_leaves_all_as_it_was() -> None:
    slow, first = Slow(), found(9)
    reranking = Reranking(slow, timedelta(milliseconds=200), clock=lambda: slow.now)
    until = reranking.deadline()
    slow.now += 0.3
    done = reranking.reranked(first, "q", numbered(first), until=until)
    assert (done.count, done.found.rows.tolist()) == (0, first.rows.tolist())


def test_equal_scores_keep_their_order_and_what_says_nothing_its_place_behind() -> None:
    first = found(50)
    texts = {row: str(row % 2) for row in first.rows.tolist() if row != 8}
    done = Reranking(Slow()).reranked(first, "q", texts)
    odd, even = range(7, 57, 2), range(10, 57, 2)
    assert (done.count, done.found.rows.tolist()) == (49, [*odd, *even, 8])


@given(st.integers(0, 80), st.integers(0, 60), st.lists(st.integers(-99, 99), min_size=80, max_size=80))
def test_every_candidate_stays_and_scores_fall(size: int, most: int, numbers: list[int]) -> None:
    first = found(size)
    texts = {row: str(numbers[place]) for place, row in enumerate(first.rows.tolist())}
    done = Reranking(Slow()).reranked(first, "q", texts, most=most)
    assert done.count == min(size, most, 50)
    assert sorted(done.found.rows.tolist()) == first.rows.tolist()
    assert (np.diff(done.found.scores) <= 0).all()
    assert (done.found.scores >= 2).sum() == done.count


def test_an_evaluation_measures_the_order_of_the_re_ranker() -> None:
    texts = {"a": "A sub der.", "b": "A red bus, and beside it six quiet cows."}
    documents = tuple(SceneDescription.from_text(text) for text in texts.values())
    dataset = Dataset("d", tuple(texts), documents, ("q",), ("a red bus",), {"q": {"b": 1}})
    pair = Minimal("a red bus", "a bus red b", "swap", "b", documents[1])
    other = Minimal("a red bus", "a bus red b", "swap", "a", SceneDescription.from_text("blue"))

    def judged(reranking: Reranking | None) -> tuple[float, float, str | None]:
        run = evaluate(dataset, BagOfLetters(), Ranking(), [pair, other], reranking=reranking)
        assert run.composition is not None
        return run.measures["mrr"].mean, run.composition.kinds["all"].mean, run.reranker

    assert judged(Reranking(SharedWords())) == (1.0, 0.0, "shared-words@0")
    assert judged(None) == (0.5, 0.5, None)

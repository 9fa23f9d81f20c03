"""P(relevant): a clear winner is likelier than one of many alike, and what can't be told is not claimed."""

from pathlib import Path

import numpy as np
import pytest

from indexer.calibration.relevance import logistic
from scenes.errors import Corrupt
from scenes.relevance import MANIFEST, Relevance, gaps, read_relevance

FITTED = Relevance(intercept=-2.0, score=2.0, gap=20.0)


def test_a_clear_winner_is_likelier_than_one_of_many_alike() -> None:
    clear, alike = FITTED.probabilities([0.6, 0.4, 0.39]), FITTED.probabilities([0.6, 0.59, 0.58])
    assert clear[0] > alike[0] > alike[1] > clear[1]
    assert all(0 <= chance <= 1 for chance in (*clear, *alike))
    assert FITTED.probabilities([]) == []


def test_the_first_two_decide_what_the_rest_is_held_against() -> None:
    scores = [0.8, 0.75, 0.6, 0.2]
    assert FITTED.probabilities(scores[:2]) == FITTED.probabilities(scores)[:2]
    assert FITTED.probabilities(scores[:3]) == FITTED.probabilities(scores)[:3]


def test_gaps_are_measured_to_the_best_rival() -> None:
    assert gaps([0.9, 0.7, 0.4]) == pytest.approx([0.2, -0.2, -0.5])
    assert gaps([0.9]) == [0.0]


def test_the_fit_finds_the_weights_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    features = np.column_stack([np.ones(20_000), rng.normal(size=20_000)])
    right = (rng.random(20_000) < 1 / (1 + np.exp(-features @ [0.5, -1.5]))).astype(float)
    assert logistic(features, right) == pytest.approx([0.5, -1.5], abs=0.1)


def test_a_manifest_without_a_fit_claims_nothing(tmp_path: Path) -> None:
    assert read_relevance(tmp_path) is None
    (tmp_path / MANIFEST).write_text("{}")
    assert read_relevance(tmp_path) is None
    (tmp_path / MANIFEST).write_text('{"relevance": {"intercept": 1}}')
    with pytest.raises(Corrupt):
        read_relevance(tmp_path)

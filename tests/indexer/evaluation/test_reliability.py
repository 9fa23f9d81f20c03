"""Expected calibration error and the price of saying 'nothing'."""

import numpy as np

from indexer.evaluation.reliability import recognised, reliability


def test_honest_chances_have_the_error_of_chance_alone() -> None:
    random = np.random.default_rng(1)
    chances = random.random(3_000)
    honest = reliability(chances, random.random(3_000) < chances)
    assert abs(honest.error - honest.floor) < 0.02
    assert np.all(np.diff(honest.stated) > 0)


def test_boasting_is_seen() -> None:
    right = np.tile([True, False], 500)
    boasting = reliability(np.full(1_000, 0.9), right)
    assert abs(boasting.error - 0.4) < 0.02
    assert boasting.floor < 0.05


def test_few_results_leave_empty_bins_out() -> None:
    one = reliability(np.array([0.75]), np.array([True]))
    assert one.error == 0.25


def test_what_is_told_at_a_price() -> None:
    present = np.linspace(0.5, 1.0, 101)
    removed = np.linspace(0.0, 1.0, 101)
    told = recognised(present, removed, np.array([0.0, 0.1, 1.0]))
    assert np.all(np.diff(told) > 0)
    assert abs(told[1] - 0.55) < 0.01
    assert np.all(recognised(present, present, np.array([0.05])) <= 0.06)

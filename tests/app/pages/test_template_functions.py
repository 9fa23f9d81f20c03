"""Probabilities on the page."""

from app.pages.template_functions import chance


def test_nothing_is_certain() -> None:
    shown = [chance(value) for value in (0.0, 0.0049, 0.006, 0.5, 0.994, 0.996, 1.0)]
    assert shown == ["< 1 %", "< 1 %", "1 %", "50 %", "99 %", "> 99 %", "> 99 %"]

"""The one door to matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.evaluation.intervals import Interval
from scenes.errors import EnvironmentMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK = "#1f6f8b"
_SIZE = (7.0, 3.2)


def bars(path: Path, title: str, rows: Mapping[str, Interval]) -> None:
    """A bar for each figure with its interval, as SVG."""
    figure, axes = _canvas(title)
    means = np.array([one.mean for one in rows.values()])
    spread = np.array([[one.mean - one.low for one in rows.values()], [one.high - one.mean for one in rows.values()]])
    axes.bar(list(rows), means, yerr=spread, color=_INK, capsize=3)
    axes.set_ylim(0, 1)
    axes.tick_params(axis="x", rotation=20)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def lines(
    path: Path, title: str, labels: tuple[str, str], curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    """A line for each named (x, y), as SVG; `labels` are those of the x and the y axis."""
    figure, axes = _canvas(title)
    for name, (x, y) in curves.items():
        axes.plot(x, y, label=name, marker=".", markersize=3)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.legend()
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def _canvas(title: str) -> "tuple[Any, Axes]":
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EnvironmentMissing(
            "plots_not_installed", "matplotlib is not installed", fix="pip install 'wordsight[calibrate]'"
        ) from error
    rcParams["svg.hashsalt"] = "wordsight"
    figure = Figure(figsize=_SIZE)
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return figure, axes

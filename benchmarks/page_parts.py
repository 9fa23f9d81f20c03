"""What the generated pages have in common."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure


def where(machine: Mapping[str, Any]) -> str:
    """The machine of a recorded result in words."""
    return f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = [f"| {' | '.join(row)} |" for row in (titles, *rows)]
    return "\n".join([cells[0], "|" + " --- |" * len(titles), *cells[1:]])


def save_plot(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, the same bytes for the same figure."""
    rcParams["svg.hashsalt"] = "wordsight"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})

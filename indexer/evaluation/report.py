"""A report of one evaluation: Markdown, plots, and the figures of each query for a later comparison."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from indexer.evaluation.evaluating import Evaluation
from indexer.evaluation.intervals import Interval, p_value
from indexer.evaluation.plots import bars
from scenes.artifact import write_file
from scenes.errors import BadInput

PAGE = "report.md"
QUERIES = "queries.json"
MEASURES_PLOT = "measures.svg"
COMPOSITION_PLOT = "composition.svg"
_SIGNIFICANT = 0.05
_HOW = "A tie is a miss. Intervals: 95 %, cluster bootstrap over images, 2,000 resamples, fixed seed."


def write_report(folder: Path, found: Evaluation, difference: Mapping[str, Any] | None = None) -> None:
    """Write `report.md`, its plots and `queries.json` into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    bars(folder / MEASURES_PLOT, f"{found.dataset}, 95 % intervals", found.measures)
    if found.composition is not None:
        shown = {**found.composition.kinds, "blind": found.composition.blind}
        bars(folder / COMPOSITION_PLOT, "composition, 95 % intervals", shown)
    write_file(folder / QUERIES, json.dumps(_kept(found)).encode())
    write_file(folder / PAGE, markdown(found, difference).encode())


def markdown(found: Evaluation, difference: Mapping[str, Any] | None = None) -> str:
    """The page."""
    parts = [
        f"# {found.dataset}",
        f"{found.queries} queries over {found.documents} descriptions{_again(found)}. {_HOW}",
        table("measure", found.measures),
        f"![measures]({MEASURES_PLOT})",
    ]
    if found.composition is not None:
        kinds = {**found.composition.kinds, "blind": found.composition.blind}
        parts += ["## Composition", "Chance is .5; blind is the same ranker on another image's description."]
        parts += [table("kind", kinds), f"![composition]({COMPOSITION_PLOT})"]
    if difference is not None:
        parts += ["## Against an earlier run", _differences(difference)]
    return "\n\n".join(parts) + "\n"


def _again(found: Evaluation) -> str:
    return f", the best 50 re-ranked by {found.reranker}" if found.reranker else ""


def table(head: str, rows: Mapping[str, Interval]) -> str:
    """A Markdown table of figures with their intervals."""
    lines = [f"| {head} | value | 95 % interval |", "| --- | --- | --- |"]
    lines += [f"| {name} | {one.mean:.3f} | {one.low:.3f} – {one.high:.3f} |" for name, one in rows.items()]
    return "\n".join(lines)


def compared(found: Evaluation, folder: Path) -> dict[str, Any]:
    """Paired differences to an earlier report, {measure: {difference, p}}.

    Raises `BadInput` (`report_differs`) where the earlier run measured other queries.
    """
    try:
        earlier = json.loads((folder / QUERIES).read_text())
    except (OSError, ValueError) as error:
        raise BadInput("report_unreadable", f"{folder / QUERIES} can't be read: {error}") from error
    if earlier["dataset"] != found.dataset or earlier["clusters"] != list(found.clusters):
        raise BadInput("report_differs", f"{folder} measured other queries ({earlier['dataset']})")
    values = {name: np.array(earlier["values"][name]) for name in found.values}
    return {
        name: {
            "difference": round(float(np.mean(each - values[name])), 4),
            "p": round(p_value(each, values[name], found.clusters), 4),
        }
        for name, each in found.values.items()
    }


def _differences(difference: Mapping[str, Any]) -> str:
    lines = ["| measure | difference | p (two-sided) | |", "| --- | --- | --- | --- |"]
    for name, one in difference.items():
        verdict = "significant" if one["p"] < _SIGNIFICANT else "could be chance"
        lines.append(f"| {name} | {one['difference']:+.3f} | {one['p']:.3f} | {verdict} |")
    return "\n".join(lines)


def _kept(found: Evaluation) -> dict[str, Any]:
    values = {name: each.tolist() for name, each in found.values.items()}
    return {"dataset": found.dataset, "clusters": list(found.clusters), "values": values}

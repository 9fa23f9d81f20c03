"""docs/quality.md, generated from the figures of bench_quality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.quality_texts import DATA, HEAD, NOTHING, PROBABILITY, REJECTED
from indexer.evaluation.intervals import Interval
from indexer.evaluation.plots import bars, lines
from scenes.artifact import write_file

_LAST = {"all": -1, "swap_*": 1, "blind": 2}


def write(folder: Path, figures: Mapping[str, Any]) -> None:
    """Write the page and its plot."""
    steps = figures["steps"]
    plotted = {f"step {n}": Interval(*row["retrieval"]["coco-gpt4o"]["recall@1"]) for n, row in _numbered(steps)}
    bars(folder / "images" / "quality.svg", "R@1 on coco-gpt4o, 95 % intervals", plotted)
    parts = [HEAD, _retrieval(steps), "![R@1 by step](images/quality.svg)", _composition(steps), _bars(figures), DATA]
    parts += [_probability(figures["probability"], folder), _training(figures["calibration"]), _rejected()]
    write_file(folder / "quality.md", ("\n\n".join(parts) + "\n").encode())


def _numbered(steps: list[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(steps, start=1))


def _retrieval(steps: list[Any]) -> str:
    lines = [
        "| step | R@1 | R@5 | R@10 | MRR | R@1 with distractors | MRR |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for number, row in _numbered(steps):
        one, other = row["retrieval"]["coco-gpt4o"], row["retrieval"]["coco-gpt4o-distractors"]
        cells = [_ranged(one["recall@1"]), *(_plain(one[name]) for name in ("recall@5", "recall@10", "mrr"))]
        cells += [_ranged(other["recall@1"]), _plain(other["mrr"])]
        lines.append(f"| {number}. {row['title']} | {' | '.join(cells)} |")
    return "## Retrieval\n\n" + "\n".join(lines)


def _composition(steps: list[Any]) -> str:
    parts = ["## Composition\n\nDoes the true caption score above its hard negative? Chance and blind are .5."]
    for name in ("compositional-captions", "compositional"):
        kinds = sorted(steps[0]["composition"][name], key=lambda kind: (_LAST.get(kind, 0), kind))
        lines = [f"| {name} | {' | '.join(kinds)} |", f"| --- |{' --- |' * len(kinds)}"]
        for number, row in _numbered(steps):
            values = [_plain(row["composition"][name][kind]) for kind in kinds]
            lines.append(f"| {number}. {row['title']} | {' | '.join(values)} |")
        last = [_range(steps[-1]["composition"][name][kind]) for kind in kinds]
        lines.append(f"| 95 % interval of the default | {' | '.join(last)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _bars(figures: Mapping[str, Any]) -> str:
    lines = ["| what | bar | reached | |", "| --- | --- | --- | --- |"]
    for name, one in figures["judged"].items():
        verdict = "yes" if one["reached"][0] >= one["bar"] else "no"
        lines.append(f"| {name} | {one['bar']:.2f} | {_ranged(one['reached'])} | {verdict} |")
    return "## Bars of this release\n\n" + "\n".join(lines)


def _probability(chances: Mapping[str, Any], folder: Path) -> str:
    rows = ["| set | fitted | error | a perfect one's |", "| --- | --- | --- | --- |"]
    for name, one in chances.items():
        for way in ("trained elsewhere", "fitted on the other half"):
            rows.append(f"| {name} | {way} | {one[way]['error']:.3f} | {one[way]['floor']:.3f} |")
        for number, half in enumerate(one["halves"], start=1):
            rows.append(f"| {name} | half {number} alone | {half['error']:.3f} | {half['floor']:.3f} |")
    curves = {
        name: (one["trained elsewhere"]["stated"], one["trained elsewhere"]["found"]) for name, one in chances.items()
    }
    lines(
        folder / "images" / "reliability.svg", "reliability of the first result", ("P(relevant) stated", "share right"),
        curves | {"perfect": ([0, 1], [0, 1])},
    )  # fmt: skip
    alarms = list(next(iter(chances.values()))["nothing"])
    told = [f"| removed and told, by false alarms | {' | '.join(alarms)} |", f"| --- |{' --- |' * len(alarms)}"]
    for name, one in chances.items():
        shares = [f"{one['nothing'][at]:.3f}" for at in alarms]
        told.append(f"| {name} | {' | '.join(shares)} |")
    return "\n\n".join(
        [PROBABILITY, "\n".join(rows), "![reliability](images/reliability.svg)", NOTHING, "\n".join(told)]
    )


def _training(calibration: Mapping[str, Any]) -> str:
    plan, judged = calibration["plan"], [calibration[when]["recall@1"] for when in ("before", "after")]
    return (
        "## Training\n\n"
        f"{calibration['training_images']} images (five human captions each) trained on, "
        f"{calibration['held_out_images']} held out for judging, {calibration['dropped_captions']} captions dropped "
        f"that are also evaluated; seed {plan['seed']}, {calibration['steps']} steps of {plan['batch']} pairs, "
        f"learning rate {plan['learning_rate']}. Held-out R@1 {judged[0]:.3f} before, {judged[1]:.3f} after. "
        "The weights were chosen when neighbouring words were summed in the ranking; one seed only was trained.\n\n"
        "To repeat it: `make encoder DATA=FOLDER`, with `captions-train.jsonl` in the folder."
    )


def _rejected() -> str:
    lines = ["| tried | measured |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in REJECTED)]
    return (
        "## What did not help\n\nMeasured once while the ranking was made, and left out of the code.\n\n"
        + "\n".join(lines)
    )


def _plain(value: list[float]) -> str:
    return f"{value[0]:.3f}"


def _range(value: list[float]) -> str:
    return f"{value[1]:.3f} – {value[2]:.3f}"


def _ranged(value: list[float]) -> str:
    return f"**{_plain(value)}** ({_range(value)})"

"""docs/quality.md, generated from the figures of bench_quality."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.page_parts import table
from benchmarks.quality_texts import DATA, HEAD, NOTHING, PROBABILITY, REJECTED, SAID, SEEDS
from benchmarks.recording import RESULTS
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
    parts += [_probability(figures["probability"], folder), _nothing(figures["probability"], figures["people"])]
    parts += [_training(figures["calibration"]), *_seeds(), _rejected()]
    write_file(folder / "quality.md", ("\n\n".join(parts) + "\n").encode())


def _numbered(steps: list[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(steps, start=1))


def _retrieval(steps: list[Any]) -> str:
    rows = []
    for number, row in _numbered(steps):
        one, other = row["retrieval"]["coco-gpt4o"], row["retrieval"]["coco-gpt4o-distractors"]
        cells = [_ranged(one["recall@1"]), *(_plain(one[name]) for name in ("recall@5", "recall@10", "mrr"))]
        cells += [_ranged(other["recall@1"]), _plain(other["mrr"])]
        rows.append([f"{number}. {row['title']}", *cells])
    titles = ("step", "R@1", "R@5", "R@10", "MRR", "R@1 with distractors", "MRR")
    return "## Retrieval\n\n" + table(titles, rows)


def _composition(steps: list[Any]) -> str:
    parts = ["## Composition\n\nDoes the true caption score above its hard negative? Chance and blind are .5."]
    for name in ("compositional-captions", "compositional"):
        kinds = sorted(steps[0]["composition"][name], key=lambda kind: (_LAST.get(kind, 0), kind))
        rows = [
            [f"{number}. {row['title']}", *(_plain(row["composition"][name][kind]) for kind in kinds)]
            for number, row in _numbered(steps)
        ]
        last = [_range(steps[-1]["composition"][name][kind]) for kind in kinds]
        parts.append(table([name, *kinds], [*rows, ["95 % interval of the default", *last]]))
    return "\n\n".join(parts)


def _bars(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, one in figures["judged"].items():
        verdict = "yes" if one["reached"][0] >= one["bar"] else "no"
        rows.append([name, f"{one['bar']:.2f}", _ranged(one["reached"]), verdict])
    return "## Bars of this release\n\n" + table(("what", "bar", "reached", ""), rows)


def _probability(chances: Mapping[str, Any], folder: Path) -> str:
    rows = []
    for name, one in chances.items():
        for way in ("trained elsewhere", "fitted on the other half"):
            rows.append([name, way, *_errors(one[way])])
        for number, half in enumerate(one["halves"], start=1):
            rows.append([name, f"half {number} alone", *_errors(half)])
    curves = {
        name: (one["trained elsewhere"]["stated"], one["trained elsewhere"]["found"]) for name, one in chances.items()
    }
    lines(
        folder / "images" / "reliability.svg", "reliability of the first result", ("P(relevant) stated", "share right"),
        curves | {"perfect": ([0, 1], [0, 1])},
    )  # fmt: skip
    errors = table(("set", "fitted", "error", "a perfect one's"), rows)
    return "\n\n".join([PROBABILITY, errors, "![reliability](images/reliability.svg)"])


def _nothing(chances: Mapping[str, Any], people: Mapping[str, Any]) -> str:
    alarms = list(people["nothing"]["score"])
    rows = [
        [f"{name}, by {told}", *_curve(one["nothing"][way])]
        for name, one in chances.items()
        for way, told in (("chance", "P(relevant)"), ("score", "the best score"))
    ]
    rows.append([f"described by people (R@1 {people['recall@1']:.3f}), by the best score"])
    rows[-1] += _curve(people["nothing"]["score"])
    curves = table(["removed and told, by false alarms", *alarms], rows)
    asked = ("there", "removed", "far off")
    said = [[name, *(f"{one['said'][which]:.3f}" for which in asked)] for name, one in chances.items()]
    shipped = table(["answers that say so", "its image is there", "its image was removed", "far-off query"], said)
    return "\n\n".join([NOTHING, curves, SAID, shipped])


def _curve(told: Mapping[str, float]) -> list[str]:
    return [f"{share:.3f}" for share in told.values()]


def _errors(one: Mapping[str, float]) -> list[str]:
    return [f"{one['error']:.3f}", f"{one['floor']:.3f}"]


def _training(calibration: Mapping[str, Any]) -> str:
    plan, judged = calibration["plan"], [calibration[when]["recall@1"] for when in ("before", "after")]
    return (
        "## Training\n\n"
        f"{calibration['training_images']} images (five human captions each) trained on, "
        f"{calibration['held_out_images']} held out for judging, {calibration['dropped_captions']} captions dropped "
        f"that are also evaluated; seed {plan['seed']}, {calibration['steps']} steps of {plan['batch']} pairs, "
        f"learning rate {plan['learning_rate']}. Held-out R@1 {judged[0]:.3f} before, {judged[1]:.3f} after. "
        "The weights were chosen when neighbouring words were summed in the ranking.\n\n"
        "To repeat it: `make encoder DATA=FOLDER`, with `captions-train.jsonl` in the folder."
    )


def _seeds() -> list[str]:
    """What other seeds reach, once that was measured."""
    file = RESULTS / "bench_seeds.json"
    if not file.is_file():
        return []
    figures = json.loads(file.read_text())["figures"]
    names = list(figures["spread"])
    rows = [[seed, *(_plain(row[name]) for name in names)] for seed, row in figures["seeds"].items()]
    spread = [f"{one['mean']:.3f} ± {one['deviation']:.3f}" for one in figures["spread"].values()]
    return [SEEDS, table(["seed", *names], [*rows, ["mean ± standard deviation", *spread]])]


def _rejected() -> str:
    head = "## What did not help\n\nMeasured once while the ranking was made, and left out of the code.\n\n"
    return head + table(("tried", "measured"), REJECTED)


def _plain(value: list[float]) -> str:
    return f"{value[0]:.3f}"


def _range(value: list[float]) -> str:
    return f"{value[1]:.3f} – {value[2]:.3f}"


def _ranged(value: list[float]) -> str:
    return f"**{_plain(value)}** ({_range(value)})"

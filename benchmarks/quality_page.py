"""docs/quality.md, generated from the figures of bench_quality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexer.evaluation.intervals import Interval
from indexer.evaluation.plots import bars
from scenes.artifact import write_file

_LAST = {"all": -1, "swap_*": 1, "blind": 2}
_REJECTED = (
    ("Hubness correction (mean similarity to a bank of training captions, subtracted)",
     "+.010 / −.007 R@1 without / with distractors at its best weight: the bank knows one kind of image only"),
    ("BM25 in the mix (weight .3 of z-scores beside pooled vectors and words)", "−.019 / −.018 R@1; BM25 alone .505"),
    ("Words weighted by their rarity in the collection", "−.022 / −.028 R@1 alone, .000 in the mix"),
    ("Three neighbouring words in place of two", "−.016 R@1, swaps +.02 to −.02"),
    ("Captions of another image mixed into the training text, learning rate 7e-5, counterfactual weight 1",
     "pooled vector −.060 R@1: too far from real descriptions"),
    ("Projection of words to 96 in place of 128 dimensions", "−.001 R@1, composition −.01"),
)  # fmt: skip


def write(folder: Path, figures: Mapping[str, Any]) -> None:
    """Write the page and its plot."""
    steps = figures["steps"]
    plotted = {f"step {n}": Interval(*row["retrieval"]["coco-gpt4o"]["recall@1"]) for n, row in _numbered(steps)}
    bars(folder / "images" / "quality.svg", "R@1 on coco-gpt4o, 95 % intervals", plotted)
    parts = [_HEAD, _retrieval(steps), "![R@1 by step](images/quality.svg)", _composition(steps), _bars(figures), _DATA]
    parts += [_training(figures["calibration"]), _rejected()]
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


def _training(calibration: Mapping[str, Any]) -> str:
    plan, judged = calibration["plan"], [calibration[when]["recall@1"] for when in ("before", "after")]
    return (
        "## Training\n\n"
        f"{calibration['training_images']} images (five human captions each) trained on, "
        f"{calibration['held_out_images']} held out for judging, {calibration['dropped_captions']} captions dropped "
        f"that are also evaluated; seed {plan['seed']}, {calibration['steps']} steps of {plan['batch']} pairs, "
        f"learning rate {plan['learning_rate']}. Held-out R@1 {judged[0]:.3f} before, {judged[1]:.3f} after.\n\n"
        "To repeat it: `make encoder DATA=FOLDER`, with `captions-train.jsonl` in the folder."
    )


def _rejected() -> str:
    lines = ["| tried | measured |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in _REJECTED)]
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


_HEAD = """# Quality

Generated by `make bench GROUPS=bench_quality` with `WORDSIGHT_DATA` naming the data folder. A tie is a miss;
intervals are 95 %, from a bootstrap over images."""

_DATA = """## Data

Development sets: 278 machine-written descriptions of COCO val2017 images (CompreCap, MIT) with 1,391 human captions as
queries (COCO captions, CC BY 4.0); the same among 1,000 machine-written descriptions of other images (ImageInWords
CM_3600, CC BY 4.0); minimal pairs of SugarCrepe (MIT). Training: captions of 2,596 other COCO val2017 images. No image
is in both, and nothing was trained or tuned on a development set: the weights of the ranking were chosen on held-out
training images. The public encoder has itself seen COCO captions, so compare with its row, not with the literature."""

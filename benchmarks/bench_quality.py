"""How often the right image comes first, step by step; writes docs/quality.md.

WORDSIGHT_DATA names the folder of the development sets: coco-gpt4o, coco-gpt4o-distractors, compositional.jsonl,
compositional-captions.jsonl (see docs/quality.md for their public sources).
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import quality_page
from benchmarks.quality_probability import described_by_people, probability
from benchmarks.recording import ROOT, record
from indexer.encoding.encoder import Encoded, Encoder
from indexer.encoding.serving import load_encoder
from indexer.evaluation.composition import Composition, composed, read_composition
from indexer.evaluation.dataset import Dataset, read_beir
from indexer.evaluation.evaluating import Evaluation, PairedDescriptions, evaluate
from indexer.evaluation.intervals import Interval, interval
from indexer.retrieval.ranking import Ranking
from scenes.recipe import EncoderRecipe
from scenes.relevance import Relevance
from scenes.weights.registry import BASE_ENCODER, DEFAULT_ENCODER

MEASURED = (
    "indexer/evaluation", "indexer/retrieval/ranking.py", "indexer/tokens/late_interaction.py",
    "indexer/vectors/compiled.py", "indexer/tokens/maxsim.py", "indexer/encoding/token_head.py",
    "indexer/encoding/embedding.py",
    "scenes/relevance.py", "scenes/wording.py",
    "scenes/weights/wordsight-minilm-1.npz", "scenes/weights/wordsight-minilm-1.json",
    "benchmarks/bench_quality.py", "benchmarks/quality_probability.py", "benchmarks/far_off_queries.txt",
)  # fmt: skip
DENSE = Ranking(dense=1.0, words=0.0, pairs=0.0)
WORDS = Ranking(dense=0.2, words=0.8, pairs=0.0)
STEPS = (
    ("public encoder, pooled vector", BASE_ENCODER, DENSE),
    ("+ words", BASE_ENCODER, WORDS),
    ("+ pairs of words", BASE_ENCODER, Ranking()),
    ("calibrated, pooled vector", DEFAULT_ENCODER, DENSE),
    ("+ words", DEFAULT_ENCODER, WORDS),
    ("+ pairs of words (the default)", DEFAULT_ENCODER, Ranking()),
)
SETS = ("coco-gpt4o", "coco-gpt4o-distractors")
PAIRS = ("compositional-captions", "compositional")
BARS = {
    "coco-gpt4o R@1": 0.67,
    "with distractors R@1": 0.64,
    "captions, all": 0.88,
    "captions, swaps": 0.78,
    "machine descriptions, all": 0.80,
    "machine descriptions, swaps": 0.62,
}


class Remembering:
    """Embeds each text once, whatever the ranking."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, tuple[Any, bool, Any]] = {}

    @property
    def recipe(self) -> EncoderRecipe:
        return self._encoder.recipe

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        fresh = self._encoder.encode_documents(new)
        self._known |= dict(zip(new, zip(fresh.vectors, fresh.truncated, fresh.words, strict=True), strict=True))
        vectors, truncated, words = zip(*(self._known[text] for text in texts), strict=True)
        return Encoded(np.stack(vectors), np.array(truncated), words)

    encode_queries = encode_documents
    """Both shipped encoders have no prompts, so that a query is embedded as a description is."""


def main() -> None:
    data = Path(os.environ.get("WORDSIGHT_DATA", ROOT / "data"))
    sets = {name: read_beir(data / name) for name in SETS}
    pairs = {name: data / f"{name}.jsonl" for name in PAIRS}
    with tempfile.TemporaryDirectory(prefix="wordsight-bench-") as home:
        encoders = {name: Remembering(load_encoder(name, Path(home))) for name in (BASE_ENCODER, DEFAULT_ENCODER)}
    rows = [row_of(title, encoders[encoder], ranking, sets, pairs) for title, encoder, ranking in STEPS]
    calibration = _calibration()
    shipped = Relevance.model_validate(calibration["relevance"])
    chances = {name: probability(one, encoders[DEFAULT_ENCODER], Ranking(), shipped) for name, one in sets.items()}
    people = described_by_people(sets[SETS[0]], encoders[DEFAULT_ENCODER], Ranking())
    figures = {
        "steps": rows,
        "probability": chances,
        "people": people,
        "judged": _judged(rows[-1]),
        "calibration": calibration,
    }
    for row in rows:
        row.pop("values")
    record("bench_quality", figures, measured=MEASURED, seed=0)
    quality_page.write(ROOT / "docs", figures)


def row_of(
    title: str, encoder: Encoder, ranking: Ranking, sets: Mapping[str, Dataset], pairs: Mapping[str, Path]
) -> dict[str, Any]:
    """What a ranking of one encoder reaches on all sets."""
    found = {name: evaluate(dataset, encoder, ranking) for name, dataset in sets.items()}
    scorer = PairedDescriptions(encoder, ranking)
    composition = {name: composed(read_composition(path, sets[SETS[0]]), scorer) for name, path in pairs.items()}
    return {
        "title": title,
        "retrieval": {name: _measures(one) for name, one in found.items()},
        "composition": {name: _kinds(one, pairs[name]) for name, one in composition.items()},
        "values": {name: (one.values["recall@1"], one.clusters) for name, one in found.items()},
        "weights": {"dense": ranking.dense, "words": ranking.words, "pairs": ranking.pairs},
    }


def _measures(found: Evaluation) -> dict[str, Any]:
    return {name: _shown(one) for name, one in found.measures.items()}


def _kinds(found: Composition, path: Path) -> dict[str, Any]:
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines() if line.strip()]
    swaps = np.array([kind.startswith("swap") for kind in kinds])
    swapped = interval(found.right[swaps].astype(np.float64), [str(n) for n in np.flatnonzero(swaps)])
    shown = {**found.kinds, "swap_*": swapped, "blind": found.blind}
    return {name: _shown(one) for name, one in shown.items()}


def _shown(one: Interval) -> list[float]:
    return [round(one.mean, 4), round(one.low, 4), round(one.high, 4)]


def _judged(default: Mapping[str, Any]) -> dict[str, Any]:
    """The bars of the first release, each with what was reached."""
    return {name: {"bar": BARS[name], "reached": value} for name, value in with_bars(default).items()}


def with_bars(row: Mapping[str, Any]) -> dict[str, list[float]]:
    """The figures of a row that have a bar, each with its interval."""
    retrieval, composition = row["retrieval"], row["composition"]
    return {
        "coco-gpt4o R@1": retrieval["coco-gpt4o"]["recall@1"],
        "with distractors R@1": retrieval["coco-gpt4o-distractors"]["recall@1"],
        "captions, all": composition["compositional-captions"]["all"],
        "captions, swaps": composition["compositional-captions"]["swap_*"],
        "machine descriptions, all": composition["compositional"]["all"],
        "machine descriptions, swaps": composition["compositional"]["swap_*"],
    }


def _calibration() -> dict[str, Any]:
    return json.loads((ROOT / "scenes" / f"{DEFAULT_ENCODER}.json").read_text())


if __name__ == "__main__":
    main()

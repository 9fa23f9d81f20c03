"""How much the calibration depends on its seed: trained anew with other seeds, measured on the development sets.

WORDSIGHT_DATA names the folder of captions-train.jsonl and the development sets. A training that was stopped goes on.
The encoder that ships was trained with seed 0.
"""

import json
import os
from pathlib import Path

import numpy as np

from app.cli import run
from benchmarks.bench_quality import PAIRS, SETS, Remembering, row_of, with_bars
from benchmarks.recording import ROOT, record
from indexer.encoding.serving import load_encoder
from indexer.evaluation.dataset import read_beir
from indexer.retrieval.ranking import Ranking
from scenes.weights.registry import DEFAULT_ENCODER

NAME = "bench_seeds"
MEASURED = (
    "indexer/calibration", "indexer/evaluation", "indexer/retrieval/ranking.py",
    "indexer/tokens/late_interaction.py",
    "indexer/vectors/compiled.py", "indexer/tokens/maxsim.py", "indexer/encoding/token_head.py", "scenes/wording.py",
    "scenes/weights/wordsight-minilm-1.npz",
    "benchmarks/bench_seeds.py",
)  # fmt: skip
SEEDS = (1, 2)
BUILD = ROOT / ".build" / "seeds"


def main() -> None:
    data = Path(os.environ.get("WORDSIGHT_DATA", ROOT / "data"))
    trained = {str(seed): _trained(data, seed) for seed in SEEDS}
    sets = {name: read_beir(data / name) for name in SETS}
    pairs = {name: data / f"{name}.jsonl" for name in PAIRS}
    rows = {}
    for seed, name in {"0": DEFAULT_ENCODER, **trained}.items():
        encoder = Remembering(load_encoder(name, BUILD / "home"))
        rows[seed] = with_bars(row_of(f"seed {seed}", encoder, Ranking(), sets, pairs))
        print(seed, json.dumps(rows[seed]), flush=True)
    spread = {name: _spread([row[name][0] for row in rows.values()]) for name in rows["0"]}
    record(NAME, {"seeds": rows, "spread": spread}, measured=MEASURED, seed=0)


def _trained(data: Path, seed: int) -> str:
    """The folder of the encoder that was calibrated with this seed."""
    out = BUILD / str(seed)
    words = ["calibrate", str(data / "captions-train.jsonl"), "--out", str(out), "--seed", str(seed)]
    assert run([*words, "--apart-from", str(data / SETS[-1])]) == 0
    return str(out)


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 4), "deviation": round(float(np.std(values, ddof=1)), 4)}


if __name__ == "__main__":
    main()

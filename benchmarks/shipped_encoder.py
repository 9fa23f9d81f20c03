"""Make the shipped encoder anew: `python -m benchmarks.shipped_encoder DATA_FOLDER` (or `make encoder DATA=…`).

Trains on captions-train.jsonl of the folder by the project's own command, then writes what ships into scenes/: the
difference to the public encoder, its manifest, and the digests that every install verifies. Stopped, it goes on.

With `--judge-only` the shipped weights stay; what is said of them (measures on held-out images, P(relevant)) is found
anew with the ranking as it is now.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.cli import run
from benchmarks.recording import ROOT
from indexer.calibration.calibrating import as_dataset, figures, split
from indexer.calibration.encoder_delta import WEIGHTS, apply_delta, write_delta
from indexer.calibration.pairs import read_pairs, without
from indexer.calibration.relevance import fit_relevance
from indexer.encoding.sentence_encoder import SentenceEncoder
from indexer.encoding.token_head import HEAD
from indexer.evaluation.dataset import read_beir
from indexer.evaluation.evaluating import evaluate
from indexer.retrieval.ranking import Ranking
from scenes.artifact import file_sha256, write_file
from scenes.relevance import MANIFEST
from scenes.weights.registry import BASE_ENCODER, DEFAULT_ENCODER, find_model

BUILD = ROOT / ".build" / "encoder"
SCENES = ROOT / "scenes"


def main(data: Path) -> int:
    pairs, evaluated = str(data / "captions-train.jsonl"), str(data / "coco-gpt4o-distractors")
    code = run(["calibrate", pairs, "--out", str(BUILD), "--apart-from", evaluated])
    if code == 0:
        ship(BUILD)
    return code


def ship(calibrated: Path) -> None:
    """Write the difference, its manifest and digests for a calibrated encoder's folder."""
    base, made = find_model(BASE_ENCODER), BUILD.with_name("encoder-made")
    delta = SCENES / f"{DEFAULT_ENCODER}.npz"
    write_delta(base, calibrated, delta)
    shutil.rmtree(made, ignore_errors=True)
    apply_delta(base, delta, made)
    manifest: dict[str, Any] = json.loads((calibrated / MANIFEST).read_text())
    kept = manifest | {"delta_sha256": file_sha256(delta), "shipped_weights_sha256": file_sha256(made / WEIGHTS)}
    _write_manifest(kept)
    _write_digests(made)


def judge(data: Path) -> None:
    """Measure public and shipped encoder on held-out images and fit P(relevant), with today's ranking."""
    sets = [read_beir(data / "coco-gpt4o-distractors")]
    texts = {query for one in sets for query in one.queries}
    images = {document for one in sets for document in one.document_ids}
    held_out, _ = split(without(read_pairs(data / "captions-train.jsonl"), texts, images)[0])
    public, shipped = SentenceEncoder.load(BASE_ENCODER), SentenceEncoder.load(str(find_model(DEFAULT_ENCODER)))
    ranking = Ranking()
    judged = {
        "ranking": asdict(ranking),
        "before": figures(evaluate(as_dataset(held_out), public, ranking)),
        "after": figures(evaluate(as_dataset(held_out), shipped, ranking)),
        "relevance": fit_relevance(held_out, shipped, ranking).model_dump(),
    }
    _write_manifest(json.loads((SCENES / f"{DEFAULT_ENCODER}.json").read_text()) | judged)
    made = BUILD.with_name("encoder-made")
    shutil.rmtree(made, ignore_errors=True)
    apply_delta(find_model(BASE_ENCODER), SCENES / f"{DEFAULT_ENCODER}.npz", made)
    _write_digests(made)


def _write_manifest(manifest: Mapping[str, Any]) -> None:
    write_file(SCENES / f"{DEFAULT_ENCODER}.json", (json.dumps(manifest, indent=1) + "\n").encode())


def _write_digests(made: Path) -> None:
    shutil.copyfile(SCENES / f"{DEFAULT_ENCODER}.json", made / MANIFEST)
    delta = SCENES / f"{DEFAULT_ENCODER}.npz"
    write_file(SCENES / "calibrated_models.toml", _toml(delta, made).encode())


def _toml(delta: Path, made: Path) -> str:
    files = {path.relative_to(made).as_posix(): file_sha256(path) for path in sorted(made.rglob("*")) if path.is_file()}
    digests = [f'"{name}" = "{digest}"' for name, digest in files.items() if name != "SOURCE"]
    assert HEAD in files
    head = [
        "# Models made from a packaged one and a small difference beside this file, by benchmarks.shipped_encoder.",
        f"[{DEFAULT_ENCODER}]",
        f'base = "{BASE_ENCODER}"',
        f'delta = "{delta.name}"',
        'licence = "Apache-2.0"',
        "",
        f"[{DEFAULT_ENCODER}.sha256]",
    ]
    return "\n".join([*head, *digests]) + "\n"


if __name__ == "__main__":
    sys.exit(judge(Path(sys.argv[1])) if "--judge-only" in sys.argv else main(Path(sys.argv[1])))

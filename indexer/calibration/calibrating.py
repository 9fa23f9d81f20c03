"""A calibration run: pairs in, a calibrated encoder's folder out, with a manifest and measures before and after."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.counterfactuals import Counterfactuals
from indexer.calibration.model import Trainee
from indexer.calibration.pairs import Example
from indexer.calibration.relevance import fit_relevance
from indexer.calibration.training import Plan, Progress, Tick, train
from indexer.calibration.vocabulary import stand_ins
from indexer.encoding.encoder import Encoder
from indexer.encoding.sentence_encoder import SentenceEncoder
from indexer.encoding.token_head import HEAD
from indexer.evaluation.dataset import Dataset
from indexer.evaluation.evaluating import Evaluation, evaluate
from indexer.evaluation.plots import lines
from indexer.retrieval.ranking import Ranking
from scenes.artifact import file_sha256, write_file
from scenes.description import SceneDescription
from scenes.relevance import MANIFEST

LOSS_PLOT = "loss.svg"
HELD_OUT = 300
DIMENSIONS = 128
"""Of the word head, the projection of word vectors."""
_HEAD_TEXTS = 4_000
_HELD_OUT_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`before` and `after`: measures on held-out images; `manifest` is also in the folder."""

    before: dict[str, float]
    after: dict[str, float]
    manifest: dict[str, Any]


def calibrate(
    base: str | None, examples: Sequence[Example], dropped: int, plan: Plan, out: Path, tick: Tick
) -> Calibrated:
    """Train an encoder and write its folder; stopped, it goes on where it was when run again. `dropped` counts the
    captions that were left out because they are evaluated elsewhere, for the manifest.

    Raises as the encoder's loading does, and `BadInput` (`checkpoint_differs`).
    """
    out.mkdir(parents=True, exist_ok=True)
    encoder = SentenceEncoder.load(base)
    held_out, training = split(examples)
    judged = as_dataset(held_out)
    before = figures(evaluate(judged, encoder, Ranking()))
    counterfactuals = Counterfactuals(stand_ins(training, encoder))
    identity = hashlib.sha256(repr((encoder.recipe.weights_digest, examples)).encode()).hexdigest()
    progress = train(
        Trainee(encoder.model),
        training,
        counterfactuals,
        plan,
        out,
        identity=identity,
        judge=lambda: figures(evaluate(judged, encoder, Ranking()))["recall@1"],
        tick=tick,
    )
    encoder.model.save(str(out))
    _write_head(out, encoder, training)
    calibrated = SentenceEncoder.load(str(out))
    after = figures(evaluate(judged, calibrated, Ranking()))
    manifest = _manifest(encoder, plan, progress, identity, len(training), len(held_out)) | {
        "dropped_captions": dropped,
        "ranking": asdict(Ranking()),
        "before": before,
        "after": after,
        "relevance": fit_relevance(held_out, calibrated, Ranking()).model_dump(),
        "weights_sha256": file_sha256(out / "model.safetensors"),
        "word_head_sha256": file_sha256(out / HEAD),
    }
    write_file(out / MANIFEST, json.dumps(manifest, indent=1).encode(), shared=True)
    steps = list(range(1, len(progress.losses) + 1))
    lines(out / LOSS_PLOT, "training", ("step", "loss"), {"loss": (steps, progress.losses)})
    return Calibrated(before, after, manifest)


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """(held out, training): by a hash of the image, so that the same images are held out whatever the order."""
    ordered = sorted(examples, key=lambda example: hashlib.sha256(example.image.encode()).digest())
    count = min(HELD_OUT, int(len(ordered) * _HELD_OUT_SHARE))
    return ordered[:count], sorted(ordered[count:], key=lambda example: example.image)


def as_dataset(examples: Sequence[Example]) -> Dataset:
    """Held-out images as a retrieval set: one caption asks, the others describe."""
    pairs = [example.fixed() for example in examples]
    names = tuple(example.image for example in examples)
    return Dataset(
        name="held out",
        document_ids=names,
        documents=tuple(SceneDescription.from_text(text) for _, text in pairs),
        query_ids=names,
        queries=tuple(query for query, _ in pairs),
        relevant={name: {name: 1} for name in names},
    )


def figures(found: Evaluation) -> dict[str, float]:
    return {name: round(one.mean, 4) for name, one in found.measures.items()}


def projection(encoder: Encoder, texts: Sequence[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """The word head, float32 (hidden, dimensions): orthonormal columns that keep inner products of words best.

    They are found by uncentred PCA.

    `encoder` gives words as they are, without a projection of its own.
    """
    chosen = np.random.default_rng(0).permutation(len(texts))[:_HEAD_TEXTS]
    words = np.concatenate(encoder.encode_queries([texts[place] for place in chosen]).words).astype(np.float64)
    _, directions = np.linalg.eigh(words.T @ words)
    kept = directions[:, ::-1][:, : min(dimensions, directions.shape[1])]
    signs = np.sign(kept[np.argmax(np.abs(kept), axis=0), np.arange(kept.shape[1])])
    return np.ascontiguousarray(kept * signs, np.float32)


def _write_head(out: Path, encoder: SentenceEncoder, training: Sequence[Example]) -> None:
    np.save(out / HEAD, projection(encoder, [text for example in training for text in example.asking]))


def _manifest(
    encoder: SentenceEncoder, plan: Plan, progress: Progress, identity: str, training: int, held_out: int
) -> dict[str, Any]:
    return {
        "base": encoder.recipe.model,
        "base_weights_sha256": encoder.recipe.weights_digest,
        "data_sha256": identity,
        "training_images": training,
        "held_out_images": held_out,
        "plan": asdict(plan),
        "steps": progress.step,
        "judgements": progress.judgements,
    }

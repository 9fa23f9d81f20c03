"""Vectors and queries for measuring indexes: real encoder outputs, multiplied by noise at the real distance.

A million descriptions are not at hand. So each vector is a real caption's, moved in a random direction until it is as
far from its caption as captions of different images are from their nearest neighbours; queries are real and unmoved.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording import ROOT
from indexer.encoding.encoder import Vectors
from indexer.encoding.serving import load_encoder
from indexer.releases.tuning_queries import HOW_MANY, phrases
from indexer.vectors.measuring import truth
from indexer.vectors.vector_store import VectorStore

DATA = Path(os.environ.get("WORDSIGHT_DATA", ROOT.parent / "shared" / "data"))
WORK = ROOT / ".build" / "bench_index"
SEED = 7
_BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Sample:
    """`vectors` float32 (n, dim) on disk; `queries` float32 (q, dim), `right` int64 (q, 10) and `least` float32 (q,):
    the ten true neighbours of each query and the score of the tenth."""

    vectors: Vectors
    queries: Vectors
    right: NDArray[np.int64]
    least: NDArray[np.float32]


def sample(n: int) -> Sample:
    """So many vectors, made once and kept."""
    folder = WORK / str(n)
    if not (folder / "least.npy").is_file():
        _make(n, folder)
    vectors = np.memmap(folder / "vectors.f32", np.float32, "r").reshape(n, -1)
    return Sample(vectors, *(np.load(folder / f"{name}.npy") for name in ("queries", "right", "least")))


def neighbour_likeness() -> float:
    """The median cosine of a caption to the nearest caption of another image."""
    base, images = _captions()
    nearest = []
    for start in range(0, len(base), 2_000):
        likeness = base[start : start + 2_000] @ base.T
        likeness[images[start : start + 2_000, None] == images[None, :]] = -1
        nearest.append(likeness.max(axis=1))
    return float(np.median(np.concatenate(nearest)))


def phrases_asked() -> Vectors:
    """Phrases of the captions embedded as queries, as a build asks for them: what our index is tuned with."""
    rows = [json.loads(line) for line in (DATA / "captions-train.jsonl").read_text().splitlines()]
    captions = [caption for row in rows for caption in row["captions"]]
    chosen = np.random.default_rng(SEED).permutation(len(captions))[:HOW_MANY]
    return _encoded("phrases", phrases([captions[i] for i in chosen]))


def _make(n: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    base, _ = _captions()
    likeness = neighbour_likeness()
    random = np.random.default_rng(SEED)
    with (folder / "vectors.f32").open("wb") as file:
        for start in range(0, n, _BATCH):
            chosen = base[np.arange(start, min(start + _BATCH, n)) % len(base)]
            noise = random.normal(size=chosen.shape).astype(np.float32)
            noise -= np.sum(noise * chosen, axis=1, keepdims=True) * chosen
            noise /= np.linalg.norm(noise, axis=1, keepdims=True)
            moved = likeness * chosen + np.sqrt(1 - likeness**2) * noise
            (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32).tofile(file)
    vectors = np.memmap(folder / "vectors.f32", np.float32, "r").reshape(n, -1)
    queries = _queries()
    hits = truth(VectorStore(np.arange(n), vectors), queries, 10)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "right.npy", np.array([one.ids for one in hits]))
    np.save(folder / "least.npy", np.array([one.scores[-1] for one in hits], np.float32))


def _captions() -> tuple[Vectors, NDArray[np.int64]]:
    """All captions of `captions-train.jsonl` as vectors, and the number of each one's image."""
    rows = [json.loads(line) for line in (DATA / "captions-train.jsonl").read_text().splitlines()]
    images = np.array([i for i, row in enumerate(rows) for _ in row["captions"]])
    return _encoded("captions", [caption for row in rows for caption in row["captions"]]), images


def _queries() -> Vectors:
    """400 of the real queries of `coco-gpt4o`."""
    lines = (DATA / "coco-gpt4o" / "queries.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return _encoded("queries", [texts[i] for i in np.random.default_rng(SEED).permutation(len(texts))[:400]])


def _encoded(name: str, texts: list[str]) -> Vectors:
    file = WORK / f"{name}.npy"
    if not file.is_file():
        WORK.mkdir(parents=True, exist_ok=True)
        encoder = load_encoder(None, WORK)
        encode = encoder.encode_documents if name == "captions" else encoder.encode_queries
        parts = [encode(texts[start : start + 256]).vectors for start in range(0, len(texts), 256)]
        np.save(file, np.concatenate(parts))
    vectors: Vectors = np.load(file)
    return vectors

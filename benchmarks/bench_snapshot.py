"""Snapshot and restore of a collection: seconds, size, and memory that does not grow with the collection.

Real Postgres; images with descriptions, 384-dimensional vectors and 80 word vectors each. Each step is a process of its
own, whose greatest resident memory is told.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_publishing import RECIPE, _publication
from benchmarks.recording import ROOT, record
from indexer.backup.create import take
from indexer.backup.file import opened
from indexer.backup.restore import restore
from indexer.releases.release import build
from scenes.catalog import collections, embeddings, publishing, recipes
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.embeddings import Embedding
from scenes.collection import Collection
from scenes.recipe import EncoderRecipe
from scenes.signing.signer import Signer

NAME = "bench_snapshot"
MEASURED = (
    "indexer/backup",
    "scenes/catalog/backup_rows.py",
    "scenes/catalog/erasures.py",
    "benchmarks/bench_snapshot.py",
)
SIZES = (4_000, 20_000)
AT_ONCE, SEED, WORDS = 1_000, 9, 80
MOST_GROWTH_MIB = 48
ENCODER = EncoderRecipe(
    model="bench", weights_digest="0" * 64, wording="whole-1", dimensions=384, max_tokens=256, word_dimensions=128
)


def main() -> None:
    """Raises `AssertionError` where memory grows with the collection, or where something is missing after a restore."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="wordsight-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            for n in SIZES:
                asyncio.run(_fill(url, Path(folder), n))
                figures[str(n)] = {step: _run(step, url, folder, n) for step in ("take", "restore")}
                print(n, figures[str(n)], flush=True)
    for step in ("take", "restore"):
        small, large = (figures[str(n)][step] for n in SIZES)
        assert large["images"] == SIZES[1], large
        assert large["peak_mib"] - small["peak_mib"] < MOST_GROWTH_MIB, (small, large)
    record(NAME, figures, measured=MEASURED, seed=SEED)


async def _fill(url: str, home: Path, n: int) -> None:
    random, catalog = np.random.default_rng(SEED), Catalog.connect(url)
    async with catalog.writing() as session:
        await recipes.remember_caption(session, RECIPE)
        row = await collections.create(session, Collection(name=f"c{n}"))
        encoder = await recipes.remember_encoder(session, ENCODER)
    last = 0
    for start in range(0, n, AT_ONCE):
        async with catalog.writing() as session:
            await publishing.publish(session, row.id, [_publication(i) for i in range(start, start + AT_ONCE)])
            todo = await embeddings.missing(session, row.id, encoder, AT_ONCE, after=last)
            stored = [(number, _embedding(random)) for number, _ in todo]
            await embeddings.store(session, row.id, encoder, stored)
            last = todo[-1][0]
    async with catalog.reading() as session:
        row = await collections.get(session, f"c{n}")
    await build(catalog, row, ENCODER, home)
    await catalog.close()


def _embedding(random: np.random.Generator) -> Embedding:
    vector = random.normal(size=(1, ENCODER.dimensions)).astype(np.float32)
    words = random.integers(-127, 128, (WORDS, ENCODER.word_dimensions)).astype(np.int8)
    return Embedding(vector / np.linalg.norm(vector), words, truncated=False)


def _run(step: str, url: str, folder: str, n: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.bench_snapshot", step, url, folder, str(n)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def _step(step: str, url: str, folder: Path, n: int) -> dict[str, Any]:
    catalog, path, started = Catalog.connect(url), folder / f"{n}.snapshot", time.perf_counter()
    if step == "take":
        images = (await take(catalog, f"c{n}", path, Signer.load(folder))).manifest.rows("images")
    else:
        with opened(path) as archive:
            images = (await restore(catalog, archive, Collection(name=f"copy{n}"))).images
    seconds = time.perf_counter() - started
    await catalog.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size / 2**20
    return {"images": images, "seconds": round(seconds, 2), "peak_mib": round(peak, 1), "file_mib": round(size, 1)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_step(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))))

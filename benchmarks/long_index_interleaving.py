"""At least 10,000 random steps of everything that happens to an index: no wrong answer, none lost, none resurrected."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import recording
from indexer.tuning import PROMISED_RECALL
from scenes.catalog.embedded import postgres
from scenes.catalog.engine import Catalog
from tests.indexer.interleaving import GRAPH, LISTS, Interleaving, leave_nothing_behind

MEASURED = (
    "indexer/delta.py",
    "indexer/embedding.py",
    "indexer/exact_index.py",
    "indexer/faiss_index.py",
    "indexer/gathering.py",
    "indexer/loading.py",
    "indexer/release.py",
    "indexer/scoring.py",
    "indexer/searcher.py",
    "indexer/snapshot.py",
    "indexer/vector_store.py",
    "scenes/catalog/embeddings.py",
    "scenes/catalog/publishing.py",
    "scenes/catalog/releases.py",
    "tests/indexer/interleaving.py",
)
SEED = 100
WORLDS = 12
GRAPHS = 6
"""So many worlds more have releases of graphs and lists only."""
STEPS = 1_000


def main() -> None:
    """Raises `AssertionError` at the first wrong answer, and where approximate releases leave out too many."""
    with tempfile.TemporaryDirectory(prefix="wordsight-long-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            figures = asyncio.run(_all(url, Path(folder)))
    recording.record("long_index_interleaving", figures, measured=MEASURED, seed=SEED)
    assert figures["approximate"]["recall"] >= PROMISED_RECALL, figures


async def _all(url: str, home: Path) -> dict[str, Any]:
    catalog = Catalog.connect(url)
    exact, approximate = Counter[str](), Counter[str]()
    wanted = found = 0
    try:
        for seed in range(SEED, SEED + WORLDS):
            exact += (await _one(Interleaving(catalog, home, seed))).done
        for seed in range(SEED + WORLDS, SEED + WORLDS + GRAPHS):
            world = await _one(Interleaving(catalog, home, seed, images=300, kinds=(GRAPH, LISTS)))
            approximate += world.done
            wanted, found = wanted + world.wanted, found + world.found
    finally:
        await catalog.close()
    told = {"steps": sum(approximate.values()), "of_each": dict(sorted(approximate.items()))}
    told |= {"wrong_answers": 0, "neighbours": wanted, "recall": round(found / wanted, 5)}
    of_each = dict(sorted(exact.items()))
    return {"steps": sum(exact.values()), "of_each": of_each, "wrong_answers": 0, "approximate": told}


async def _one(world: Interleaving) -> Interleaving:
    await world.start()
    await world.run(STEPS)
    assert len(await leave_nothing_behind(world.catalog, world.home, world.id)) <= 2
    print(f"{world.name}: {sum(world.done.values())} steps", flush=True)
    return world

"""At least 10,000 random steps of everything that happens to an index: no wrong answer, none lost, none resurrected.

Each world is a collection with a past of its own; a run that was stopped goes on after the last whole world.
"""

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import recording
from indexer.vectors.tuning import PROMISED_RECALL
from scenes.artifact import write_file
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from tests.indexer.releases.interleaving import GRAPH, LISTS, Interleaving, leave_nothing_behind

MEASURED = (
    "indexer/releases/delta.py",
    "indexer/encoding/embedding.py",
    "indexer/vectors/exact_index.py",
    "indexer/vectors/faiss_index.py",
    "indexer/releases/export.py",
    "indexer/releases/loading.py",
    "indexer/releases/release.py",
    "indexer/vectors/scoring.py",
    "indexer/releases/searcher.py",
    "indexer/releases/index_reader.py",
    "indexer/vectors/vector_store.py",
    "scenes/catalog/embeddings.py",
    "scenes/catalog/publishing.py",
    "scenes/catalog/releases.py",
    "tests/indexer/releases/interleaving.py",
)
SEED = 100
WORLDS = 12
GRAPHS = 6
"""So many worlds more have releases of graphs and lists only."""
STEPS = 1_000
MOST_RELEASES = 2
"""The active one and the one before it."""
KEPT = recording.ROOT / ".build" / "long_index_interleaving"


def main() -> None:
    """Raises `AssertionError` at the first wrong answer, and where approximate releases leave out too many."""
    exact = [_world(seed) for seed in range(SEED, SEED + WORLDS)]
    approximate = [_world(seed) for seed in range(SEED + WORLDS, SEED + WORLDS + GRAPHS)]
    wanted, found = (sum(world[name] for world in approximate) for name in ("wanted", "found"))
    told = _counted(approximate) | {"neighbours": wanted, "recall": round(found / wanted, 5)}
    figures = _counted(exact) | {"approximate": told}
    recording.record("long_index_interleaving", figures, measured=MEASURED, seed=SEED)
    assert told["recall"] >= PROMISED_RECALL, figures


def _counted(worlds: list[dict[str, Any]]) -> dict[str, Any]:
    of_each = sum((Counter(world["done"]) for world in worlds), Counter[str]())
    return {"steps": of_each.total(), "of_each": dict(sorted(of_each.items())), "wrong_answers": 0}


def _world(seed: int) -> dict[str, Any]:
    """What was done in one world, run now or before by the same code."""
    kept = KEPT / f"{recording.code_digest(MEASURED)[:16]}-{seed}.json"
    if not kept.is_file():
        figures = _run(seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_file(kept, json.dumps(figures).encode())
        print(f"world {seed}: {figures['done']}", flush=True)
    return dict(json.loads(kept.read_text()))


def _run(seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="wordsight-long-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            return asyncio.run(_steps(url, Path(folder), seed))


async def _steps(url: str, home: Path, seed: int) -> dict[str, Any]:
    catalog = Catalog.connect(url)
    try:
        few = seed < SEED + WORLDS
        world = Interleaving(catalog, home, seed) if few else _with_graphs(catalog, home, seed)
        await world.start()
        await world.run(STEPS)
        assert len(await leave_nothing_behind(world.catalog, world.home, world.id)) <= MOST_RELEASES
        return {"done": dict(world.done), "wanted": world.wanted, "found": world.found}
    finally:
        await catalog.close()


def _with_graphs(catalog: Catalog, home: Path, seed: int) -> Interleaving:
    return Interleaving(catalog, home, seed, images=300, kinds=(GRAPH, LISTS))

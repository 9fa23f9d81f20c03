"""At least 10,000 random steps of everything that happens to an index: no wrong answer, none lost, none resurrected."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import recording
from scenes.catalog.embedded import postgres
from scenes.catalog.engine import Catalog
from tests.indexer.interleaving import Interleaving, leave_nothing_behind

MEASURED = (
    "indexer/delta.py",
    "indexer/embedding.py",
    "indexer/exact_index.py",
    "indexer/gathering.py",
    "indexer/loading.py",
    "indexer/release.py",
    "indexer/scoring.py",
    "indexer/searcher.py",
    "indexer/snapshot.py",
    "scenes/catalog/embeddings.py",
    "scenes/catalog/publishing.py",
    "scenes/catalog/releases.py",
    "tests/indexer/interleaving.py",
)
SEED = 100
WORLDS = 12
STEPS = 1_000


def main() -> None:
    """Raises `AssertionError` at the first wrong answer."""
    with tempfile.TemporaryDirectory(prefix="wordsight-long-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            done = asyncio.run(_all(url, Path(folder)))
    figures = {"steps": sum(done.values()), "of_each": dict(sorted(done.items())), "wrong_answers": 0}
    recording.record("long_index_interleaving", figures, measured=MEASURED, seed=SEED)


async def _all(url: str, home: Path) -> Counter[str]:
    catalog = Catalog.connect(url)
    done: Counter[str] = Counter()
    try:
        for seed in range(SEED, SEED + WORLDS):
            world = Interleaving(catalog, home, seed)
            await world.start()
            await world.run(STEPS)
            assert len(await leave_nothing_behind(catalog, home, world.id)) <= 2
            done += world.done
            print(f"seed {seed}: {sum(world.done.values())} steps", flush=True)
    finally:
        await catalog.close()
    return done

"""How many descriptions a second enter the catalog: new ones, and the same again; embedded Postgres, one publisher."""

import asyncio
import random
import tempfile
import time
from pathlib import Path

from benchmarks.recording import record
from scenes.catalog import collections, publishing, recipes
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.publishing import Publication, PublishCounts
from scenes.collection import Collection
from scenes.description import SceneDescription, SceneObject, Setting
from scenes.identity import image_id
from scenes.recipe import CaptionRecipe

NAME = "bench_publishing"
MEASURED = ("scenes/catalog", "benchmarks/bench_publishing.py")
ROWS, ROWS_A_TRANSACTION, SEED = 20_000, 1_000, 7
RECIPE = CaptionRecipe(engine="basic", model="bench", prompt="bench-1")
_SENTENCE = "a red bus in the snow near two tall trees while people wait under a grey sky with bright lamps"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wordsight-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder), None) as url:
            new, again = asyncio.run(_measure(url))
    figures = {"rows": ROWS, "rows_a_transaction": ROWS_A_TRANSACTION, "new_rows_s": new, "same_rows_s": again}
    print(figures)
    record(NAME, figures, measured=MEASURED, seed=SEED)


async def _measure(url: str) -> tuple[float, float]:
    catalog = Catalog.connect(url)
    async with catalog.writing() as session:
        await recipes.remember_caption(session, RECIPE)
        collection = (await collections.create(session, Collection(name="bench"))).id
    rows = [_publication(n) for n in range(ROWS)]
    new = await _publish(catalog, collection, rows, PublishCounts(published=ROWS))
    again = await _publish(catalog, collection, rows, PublishCounts(already=ROWS))
    await catalog.close()
    return new, again


async def _publish(catalog: Catalog, collection: int, rows: list[Publication], expected: PublishCounts) -> float:
    counts, started = PublishCounts(), time.perf_counter()
    for first in range(0, ROWS, ROWS_A_TRANSACTION):
        async with catalog.writing() as session:
            part = rows[first : first + ROWS_A_TRANSACTION]
            counts += await publishing.publish(session, collection, part)
    seconds = time.perf_counter() - started
    if counts != expected:
        raise RuntimeError(f"expected {expected}, got {counts}")
    return round(ROWS / seconds, 1)


def _publication(n: int) -> Publication:
    """A description of about 1,000 characters, as a vision LLM writes them."""
    chosen = random.Random(SEED * ROWS + n)

    def words(count: int) -> str:
        return " ".join(chosen.choices(_SENTENCE.split(), k=count))

    things = tuple(SceneObject(name=words(1), count=2, attributes=(words(1), words(1)), colour="red") for _ in range(6))
    description = SceneDescription(
        summary=words(15), detail=words(120), setting=Setting(place=words(2)), objects=things, actions=(words(3),)
    )
    mark = RECIPE.fingerprint()
    uris, metadata = (f"file:///{n}.jpg",), {"n": n}
    image = image_id(f"{n}".encode())
    return Publication(image, "bytes", description, "machine", mark, mark, uris=uris, metadata=metadata)

"""What a run would take: a seeded sample of the source goes through the engine, the rest is proportion."""

import random
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable
from captioner.engines.engine import Describer
from captioner.pipeline.run import Plan, caption
from captioner.pipeline.tally import Tally
from captioner.sources import Item
from scenes.recipe import CaptionRecipe

_SECONDS_AN_HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A run of `images`, in proportion to `sample`; `hours` are hours of this machine with this engine."""

    images: int
    sample: Tally
    tokens_in: int
    tokens_out: int
    hours: float
    disk_bytes: int


def estimate(
    items: Iterable[Item], describer: Describer, recipe: CaptionRecipe, *, size: int, plan: Plan, seed: int = 0
) -> Estimate:
    """Count the source, describe a uniform sample of `size` images of it and say what all of it would take.

    The sample's descriptions are measured and thrown away. Raises what the source raises.
    """
    sample, images = _reservoir(items, size, random.Random(seed))  # noqa: S311 - a sample, no secret
    with tempfile.TemporaryDirectory(prefix="wordsight-estimate-") as folder:
        batches = BatchFolder.for_recipe(Path(folder), recipe)
        tally = caption(sample, describer, batches, plan=plan, finished=IdTable())
        disk = sum(path.stat().st_size for path in batches.files())
    share = images / max(1, tally.inputs)
    return Estimate(
        images=images,
        sample=tally,
        tokens_in=round(tally.tokens_in * share),
        tokens_out=round(tally.tokens_out * share),
        hours=tally.seconds * share / _SECONDS_AN_HOUR,
        disk_bytes=round(disk * share),
    )


def _reservoir(items: Iterable[Item], size: int, chance: random.Random) -> tuple[list[Item], int]:
    """A uniform sample and the number of all (Vitter's algorithm R)."""
    sample: list[Item] = []
    seen = 0
    for item in items:
        seen += 1
        if len(sample) < size:
            sample.append(item)
        elif (at := chance.randrange(seen)) < size:
            sample[at] = item
    return sample, seen

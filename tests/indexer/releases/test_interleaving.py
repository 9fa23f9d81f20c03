"""No interleaving of writes, builds, crashes and searches gives a wrong, a lost or a resurrected image."""

from pathlib import Path

import pytest

from indexer.vectors.tuning import PROMISED_RECALL
from scenes.catalog.connection import Catalog
from tests.indexer.releases.interleaving import GRAPH, LISTS, Interleaving, leave_nothing_behind

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]


@pytest.mark.parametrize("seed", [1, 4])
async def test_every_search_is_what_brute_force_over_the_reference_gives(
    catalog: Catalog, home: Path, seed: int
) -> None:
    world = Interleaving(catalog, home, seed)
    await world.start()
    await world.run(200)
    assert world.done["search"] > 40
    assert world.done["build"] > 3
    assert len(await leave_nothing_behind(catalog, home, world.id)) <= 2


async def test_no_search_of_approximate_releases_tells_a_wrong_image_or_score(catalog: Catalog, home: Path) -> None:
    world = Interleaving(catalog, home, 3, images=300, kinds=(GRAPH, LISTS))
    await world.start()
    await world.run(120)
    assert world.done["build"] > 2
    assert world.wanted > 200
    assert world.found / world.wanted >= PROMISED_RECALL

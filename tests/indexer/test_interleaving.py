"""No interleaving of writes, builds, crashes and searches gives a wrong, a lost or a resurrected image."""

from pathlib import Path

import pytest

from scenes.catalog.engine import Catalog
from tests.indexer.interleaving import Interleaving, leave_nothing_behind

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_search_is_what_brute_force_over_the_reference_gives(
    catalog: Catalog, home: Path, seed: int
) -> None:
    world = Interleaving(catalog, home, seed)
    await world.start()
    await world.run(200)
    assert world.done["search"] > 40
    assert world.done["build"] > 3
    assert len(await leave_nothing_behind(catalog, home, world.id)) <= 2

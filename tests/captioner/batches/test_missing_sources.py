"""Sources that disappeared are told, and nothing else is."""

from pathlib import Path

import pytest

from captioner.batches.folder import BatchFolder
from captioner.batches.missing_sources import disappeared
from captioner.batches.publish import publish
from captioner.pipeline.run import caption
from captioner.sources import items
from scenes.catalog import collections, images
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from scenes.errors import BadInput
from scenes.identity import image_id
from tests.captioner.conftest import ScriptedDescriber, png

pytestmark = pytest.mark.postgres


@pytest.fixture
def six(tmp_path: Path) -> Path:
    folder = tmp_path / "six"
    folder.mkdir()
    for n in range(6):
        (folder / f"{n}.png").write_bytes(png((n * 30, 10, 200 - n * 20)))
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


async def publish_all(catalog: Catalog, out: Path, *sources: Path) -> int:
    describer = ScriptedDescriber()
    folder = BatchFolder.for_recipe(out, describer.recipe)
    for source in sources:
        caption(items(str(source)), describer, folder)
    async with catalog.writing() as session:
        collection = await collections.ensure(session, Collection(name="c"))
    await publish(catalog, collection.id, folder)
    return collection.id


async def test_what_is_deleted_is_gone_but_not_what_was_renamed(catalog: Catalog, six: Path, tmp_path: Path) -> None:
    key = await publish_all(catalog, tmp_path / "out", six)
    assert await disappeared(catalog, key, str(six)) == {}
    lost = image_id((six / "1.png").read_bytes())
    (six / "1.png").unlink()
    (six / "2.png").rename(six / "renamed.png")
    found = await disappeared(catalog, key, str(six))
    assert found == {lost: ((six / "1.png").as_uri(),)}
    async with catalog.writing() as session:
        assert await images.delete(session, key, list(found)) == 1
    assert await disappeared(catalog, key, str(six)) == {}


async def test_images_of_other_sources_stay(catalog: Catalog, six: Path, tmp_path: Path) -> None:
    other = tmp_path / "sixty"
    other.mkdir()
    (other / "a.png").write_bytes(png((1, 2, 3)))
    key = await publish_all(catalog, tmp_path / "out", six, other)
    (other / "a.png").rename(tmp_path / "elsewhere.png")
    assert await disappeared(catalog, key, str(six)) == {}


async def test_a_source_that_is_not_there_makes_nothing_disappear(
    catalog: Catalog, six: Path, tmp_path: Path, empty: Path
) -> None:
    key = await publish_all(catalog, tmp_path / "out", six)
    with pytest.raises(BadInput, match="there is no"):
        await disappeared(catalog, key, str(tmp_path / "unmounted"))
    with pytest.raises(BadInput, match="no files"):
        await disappeared(catalog, key, str(empty))
    with pytest.raises(BadInput, match="no bounds"):
        await disappeared(catalog, key, "https://example.org/a.png")

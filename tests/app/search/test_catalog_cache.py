"""What is kept in memory is never shown once its collection has changed."""

from datetime import timedelta

import pytest

from app.search.catalog_cache import CollectionCache, ImageCache
from scenes.catalog import collections, images, publishing
from scenes.catalog.connection import Catalog
from scenes.catalog.images import ImageView
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.identity import external_image_id

pytestmark = pytest.mark.postgres
IMAGE = external_image_id("1")


def cat(uri: str, metadata: dict[str, int]) -> Publication:
    told = SceneDescription(detail="A cat.")
    return Publication(IMAGE, "external", told, "import", "same", external_id="1", uris=(uri,), metadata=metadata)


async def test_metadata_and_addresses_are_never_stale(catalog: Catalog) -> None:
    known, views = CollectionCache(catalog, fresh=timedelta(0)), ImageCache(catalog)

    async def shown() -> ImageView:
        (shown,) = (await views.by_rows(await known.get("c"), [1])).values()
        return shown.view

    async with catalog.writing() as session:
        row = await collections.create(session, Collection(name="c"))
        await publishing.publish(session, row.id, [cat("a", {"year": 1})])
    assert (await shown()).metadata == {"year": 1}
    async with catalog.writing() as session:
        await images.set_metadata(session, row.id, IMAGE, {"year": 2})
    assert (await shown()).metadata == {"year": 2}
    async with catalog.writing() as session:
        await publishing.publish(session, row.id, [cat("a", {"year": 3})])
    assert (await shown()).metadata == {"year": 3}
    async with catalog.writing() as session:
        await publishing.publish(session, row.id, [cat("b", {})])
    assert (await shown()).uris == ("a", "b")
    before = (await known.get("c")).generation
    async with catalog.writing() as session:
        await publishing.publish(session, row.id, [cat("b", {"year": 3})])
        await images.set_metadata(session, row.id, IMAGE, {"year": 3})
    assert (await known.get("c")).generation == before

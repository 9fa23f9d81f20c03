"""A collection that changes, and searchers over it, for tests of the index."""

from pathlib import Path

from indexer.releases.index_reader import Snapshot
from indexer.releases.refresh import refresh
from indexer.releases.searcher import Searcher
from scenes.answer import Source
from scenes.catalog import collections, history, images, publishing, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication
from scenes.catalog.releases import Release
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.identity import external_image_id
from tests.indexer.letters import BagOfLetters


class World:
    def __init__(self, catalog: Catalog, home: Path) -> None:
        self.catalog, self.home, self.encoder = catalog, home, BagOfLetters()
        self.searcher = Searcher(catalog, self.encoder.recipe, home)

    async def add(self, *texts: str) -> None:
        rows = [
            Publication(external_image_id(t), "external", SceneDescription(detail=t), "import", t, external_id=t)
            for t in texts
        ]
        async with self.catalog.writing() as session:
            collection = await collections.ensure(session, Collection(name="c"))
            await publishing.publish(session, collection.id, rows)

    async def delete(self, *texts: str) -> None:
        async with self.catalog.writing() as session:
            collection = await collections.get(session, "c")
            await images.delete(session, collection.id, [external_image_id(text) for text in texts])

    async def edit(self, text: str, new: str) -> None:
        async with self.catalog.writing() as session:
            collection = await collections.get(session, "c")
            await images.edit(session, collection.id, external_image_id(text), SceneDescription(detail=new))

    async def describe(self, name: str, text: str, source: Source) -> None:
        """Another description of an image that is there, by an import or a machine."""
        row = Publication(external_image_id(name), "external", SceneDescription(detail=text), source, text)
        async with self.catalog.writing() as session:
            await publishing.publish(session, (await collections.get(session, "c")).id, [row])

    async def undo(self, name: str) -> None:
        async with self.catalog.writing() as session:
            collection = await collections.get(session, "c")
            now = await images.get(session, collection.id, external_image_id(name))
            await history.undo(session, collection.id, now.image_id, now.description_id)

    async def rows(self, *names: str) -> list[int]:
        async with self.catalog.reading() as session:
            collection = await collections.get(session, "c")
            return [(await images.get(session, collection.id, external_image_id(name))).row for name in names]

    async def collection(self) -> CollectionRow:
        async with self.catalog.reading() as session:
            return await collections.get(session, "c")

    async def active(self) -> Release:
        async with self.catalog.reading() as session:
            release = await releases.active(session, (await collections.get(session, "c")).id)
        assert release is not None
        return release

    async def snapshot(self, searcher: Searcher | None = None) -> Snapshot:
        return await (searcher or self.searcher).snapshot(await self.collection())

    async def find(self, text: str, k: int = 3, searcher: Searcher | None = None) -> list[str]:
        snapshot = await self.snapshot(searcher)
        found = snapshot.search(self.encoder.encode_queries([text]).vectors[0], k)
        async with self.catalog.reading() as session:
            views = await images.by_rows(session, snapshot.collection_id, found.rows.tolist())
        return [views[row].external_id or "" for row in found.rows.tolist()]

    async def refresh(self, *, always: bool = False) -> None:
        await refresh(self.catalog, "c", self.encoder, self.home, always=always)

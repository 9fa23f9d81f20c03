"""What is done with snapshots, and what an installation holds and answers."""

from pathlib import Path

from sqlalchemy import text

from indexer.backup import create
from indexer.backup.file import opened
from indexer.backup.restore import Restored, restore
from indexer.releases.searcher import Searcher
from scenes.catalog import collections, images
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from scenes.recipe import CaptionRecipe
from scenes.signing.signer import Signer
from tests.indexer.letters import BagOfLetters
from tests.indexer.world import World

TEXTS = ("quick fox", "lazy dog", "red bus", "blue sofa", "old clock")
RECIPE = CaptionRecipe(engine="basic", model="m", prompt="p-1")


def spoken(database_url: str) -> str:
    return database_url.replace("postgresql://", "postgresql+psycopg://")


async def take(world: World, name: str = "c") -> Path:
    path = world.home / "c.snapshot"
    await create.take(world.catalog, name, path, Signer.load(world.home), images_a_part=2)
    return path


async def put_back(catalog: Catalog, path: Path, name: str) -> Restored:
    with opened(path) as archive:
        return await restore(catalog, archive, Collection(name=name))


async def everything(catalog: Catalog, name: str) -> list[object]:
    """All that a collection holds, without the numbers that hold in one catalog only."""
    current = (
        "SELECT i.image_id, id_from, external_id, metadata, i.created_at, d.body FROM images i"
        " JOIN descriptions d ON d.id = i.description_id WHERE collection_id = :c ORDER BY i.id"
    )
    uris = (
        "SELECT i.image_id, uri, u.created_at FROM image_uris u JOIN images i ON i.id = u.image"
        " WHERE collection_id = :c ORDER BY i.id, uri"
    )
    texts = (
        "SELECT i.image_id, d.source, d.variant, d.recipe, d.body, d.support, d.usage, d.notes, d.created_at,"
        " e.encoder, e.vectors, e.words, e.truncated FROM descriptions d JOIN images i ON i.id = d.image"
        " LEFT JOIN embeddings e ON e.description_id = d.id WHERE collection_id = :c ORDER BY i.id, d.id"
    )
    ended = "SELECT image_id, recipe, kind, reason, detail, uri, at FROM outcomes WHERE collection_id = :c ORDER BY 1"
    async with catalog.reading() as session:
        row = await collections.get(session, name)
        found = [(await session.execute(text(one), {"c": row.id})).all() for one in (current, uris, texts, ended)]
    return [[tuple(one) for one in rows] for rows in found]


async def answers(catalog: Catalog, home: Path, name: str, query: str) -> list[tuple[str, float]]:
    encoder = BagOfLetters()
    async with catalog.reading() as session:
        row = await collections.get(session, name)
    snapshot = await Searcher(catalog, encoder.recipe, home).snapshot(row)
    found = snapshot.search(encoder.encode_queries([query]).vectors[0], 10)
    async with catalog.reading() as session:
        views = await images.by_rows(session, row.id, found.rows.tolist())
    return [(views[one].image_id, score) for one, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True)]


async def ids(catalog: Catalog, name: str) -> set[str]:
    async with catalog.reading() as session:
        row = await collections.get(session, name)
        return {view.external_id or "" for view in await images.page(session, row.id)}


async def rows_of(catalog: Catalog) -> list[CollectionRow]:
    async with catalog.reading() as session:
        return await collections.all_(session)

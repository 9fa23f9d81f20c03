"""From a file to the catalog: in one transaction, so that a restore that is stopped anywhere never was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from indexer.backup.file import ArchiveReader
from indexer.backup.manifest import Manifest, Part
from scenes.catalog import backup_rows, collections, erasures, recipes
from scenes.catalog.backup_rows import Page
from scenes.catalog.connection import Catalog, WriteSession
from scenes.catalog.embeddings import LITTLE_ENDIAN_FLOAT32
from scenes.catalog.erasures import Erasure
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import BadInput, Corrupt
from scenes.recipe import EncoderRecipe

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was taken in; `erased` images were erased after the snapshot was taken and stay away."""

    images: int = 0
    descriptions: int = 0
    vectors: int = 0
    erased: int = 0


def check_encoder(manifest: Manifest, here: EncoderRecipe) -> None:
    """Raises `BadInput` (`snapshot_of_another_encoder`) where its vectors can't answer this encoder's queries."""
    if manifest.encoder is not None and manifest.encoder.fingerprint() != here.fingerprint():
        raise BadInput(
            "snapshot_of_another_encoder",
            f"the snapshot's vectors are {manifest.encoder.model}'s ({manifest.encoder.fingerprint()[:12]}), "
            f"this installation's encoder is {here.model} ({here.fingerprint()[:12]})",
            fix="add --embed to leave its vectors out and embed its descriptions anew",
        )


async def restore(
    catalog: Catalog,
    archive: ArchiveReader,
    settings: Collection,
    *,
    with_vectors: bool = True,
    tick: Tick = lambda _done, _total: None,
) -> Restored:
    """Make a new collection of these settings from a snapshot; images erased since then are left out.

    Raises `Conflict` (`collection_exists`), `Corrupt` (`snapshot_unreadable`, `snapshot_altered`); nothing of it is
    in the catalog then.
    """
    manifest = archive.manifest
    origin = UUID(manifest.origin)
    async with catalog.writing() as session:
        collection = await collections.create(session, settings)
        await backup_rows.adopt(session, collection.id, manifest.origin)
        await backup_rows.add_caption_recipes(session, manifest.caption_recipes)
        for part in manifest.parts_of("erasures"):
            await erasures.add(session, origin, [_erasure(row) for row in archive.rows(part)])
        encoder = manifest.encoder if with_vectors else None
        done = await _pages(session, collection.id, archive, encoder, tick)
        await _outcomes(session, collection.id, archive)
        erased = await _replay(session, collection.id, archive)
        await collections.notify(session, collection.id, backup_rows.FIRST_GENERATION)
    return replace(done, images=done.images - erased, erased=done.erased + erased)


async def _pages(
    session: WriteSession, collection_id: int, archive: ArchiveReader, encoder: EncoderRecipe | None, tick: Tick
) -> Restored:
    fingerprint = None if encoder is None else await recipes.remember_encoder(session, encoder)
    done, total = Restored(), archive.manifest.rows("images")
    for page in _read(archive, encoder):
        gone = await _erased_since(session, archive.manifest, page.images)
        kept = replace(page, images=[row for row in page.images if row["image_id"] not in gone])
        numbers = {row["number"] for row in kept.images}
        texts = [row for row in page.descriptions if row["image"] in numbers]
        await backup_rows.add_page(session, collection_id, replace(kept, descriptions=texts), fingerprint)
        there = {row["number"] for row in texts}
        vectors = sum(row["description"] in there for row in page.embeddings)
        done = Restored(
            done.images + len(kept.images),
            done.descriptions + len(texts),
            done.vectors + vectors,
            done.erased + len(gone),
        )
        tick(done.images + done.erased, total)
    return done


async def _outcomes(session: WriteSession, collection_id: int, archive: ArchiveReader) -> None:
    """How captioning ended, but for images that were erased at any time: they count for less than a doubt."""
    for part in archive.manifest.parts_of("outcomes"):
        rows = archive.rows(part)
        gone = await erasures.counts(session, UUID(archive.manifest.origin), [row["image_id"] for row in rows])
        await backup_rows.add_outcomes(session, collection_id, [row for row in rows if row["image_id"] not in gone])


async def _replay(session: WriteSession, collection_id: int, archive: ArchiveReader) -> int:
    """What was erased while this went on goes too; until the end of the transaction nothing more is erased."""
    await erasures.hold(session, UUID(archive.manifest.origin))
    removed = 0
    for part in archive.manifest.parts_of("images"):
        gone = await _erased_since(session, archive.manifest, archive.rows(part))
        removed += await backup_rows.remove(session, collection_id, sorted(gone))
    return removed


async def _erased_since(session: WriteSession, manifest: Manifest, rows: list[dict[str, Any]]) -> set[str]:
    """Those that were erased more often than the snapshot knew when it was taken."""
    known = {row["image_id"]: row["erasures"] for row in rows}
    now = await erasures.counts(session, UUID(manifest.origin), list(known))
    return {image_id for image_id, times in now.items() if times > known[image_id]}


def _read(archive: ArchiveReader, encoder: EncoderRecipe | None) -> Iterator[Page]:
    """The pages of a snapshot, each checked to be what this version would write."""
    parts = {part.name: part for part in archive.manifest.parts}

    def rows(noun: str, of: Part) -> list[dict[str, Any]]:
        part = parts.get(of.name.replace("images/", f"{noun}/"))
        return [] if part is None else archive.rows(part)

    for part in archive.manifest.parts_of("images"):
        texts = rows("descriptions", part)
        vectors = rows("embeddings", part) if encoder is not None else []
        _check(part.name, texts, vectors, encoder)
        yield Page(archive.rows(part), texts, vectors)


def _check(
    name: str, texts: list[dict[str, Any]], vectors: list[dict[str, Any]], encoder: EncoderRecipe | None
) -> None:
    try:
        for row in texts:
            SceneDescription.model_validate_json(row["body"])
    except ValidationError as error:
        raise Corrupt("snapshot_unreadable", f"{name} goes with a description that is none: {error}") from error
    size = 0 if encoder is None else encoder.views * encoder.dimensions * LITTLE_ENDIAN_FLOAT32.itemsize
    if any(len(row["vectors"]) != size for row in vectors):
        raise Corrupt("snapshot_unreadable", f"{name} goes with vectors of another size than its encoder's")


def _erasure(row: dict[str, Any]) -> Erasure:
    return Erasure(UUID(row["id"]), row["image_id"], datetime.fromisoformat(row["erased_at"]))

"""From the catalog to a file: everything of a collection at one moment, a thousand images at a time."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from indexer.backup.file import ArchiveWriter, written
from indexer.backup.manifest import Manifest, signed
from scenes.catalog import backup_rows, collections, erasures, recipes, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog, ReadSession
from scenes.recipe import EncoderRecipe
from scenes.signing.signer import Signer

IMAGES_A_PART = 1_000
ROWS_A_PART = 20_000
_BEFORE_ALL = ("", "")
Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished snapshot: its manifest, and the SHA-256 of the manifest, which names all its content."""

    manifest: Manifest
    sha256: str


async def take(
    catalog: Catalog,
    name: str,
    path: Path,
    signer: Signer,
    tick: Tick = lambda _done, _total: None,
    *,
    images_a_part: int = IMAGES_A_PART,
) -> Taken:
    """Write a collection as it is at this moment; writers go on meanwhile and are not in it.

    Its vectors are those of the encoder that answers it now. What `path` held before is replaced at the very end.
    Raises `NotFound` (`collection_unknown`), `EnvironmentMissing` (`snapshot_unwritable`, `postgres_unreachable`).
    """
    async with catalog.consistent() as session:
        row = await collections.get(session, name)
        encoder = await _encoder(session, row)
        with written(path) as archive:
            await _images(session, row, encoder, archive, images_a_part, tick)
            await _erasures(session, row, archive)
            await _outcomes(session, row, archive)
            manifest = Manifest(
                collection=row.settings,
                origin=str(row.origin),
                generation=row.generation,
                taken_at=(await backup_rows.moment(session)).isoformat(),
                encoder=encoder,
                caption_recipes=await backup_rows.caption_recipes_of(session, row.id),
                parts=tuple(archive.parts),
                signed_by=signer.public_key,
            )
            data, signature = signed(manifest, signer)
            archive.close(data, signature)
    return Taken(manifest, hashlib.sha256(data).hexdigest())


async def _encoder(session: ReadSession, row: CollectionRow) -> EncoderRecipe | None:
    """The recipe of the vectors that answer: the active release's."""
    release = await releases.active(session, row.id)
    return None if release is None else await recipes.encoder(session, release.encoder)


async def _images(
    session: ReadSession,
    row: CollectionRow,
    encoder: EncoderRecipe | None,
    archive: ArchiveWriter,
    at_once: int,
    tick: Tick,
) -> None:
    total = (await collections.counts(session, row.id)).images
    fingerprint = None if encoder is None else encoder.fingerprint()
    last = number = done = 0
    while (page := await backup_rows.page(session, row, fingerprint, last, at_once)).images:
        archive.add("images", number, page.images)
        archive.add("descriptions", number, page.descriptions)
        archive.add("embeddings", number, page.embeddings)
        last, number, done = page.images[-1]["number"], number + 1, done + len(page.images)
        tick(done, total)


async def _erasures(session: ReadSession, row: CollectionRow, archive: ArchiveWriter) -> None:
    last: UUID | None = None
    number = 0
    while found := await erasures.page(session, row.origin, last, ROWS_A_PART):
        told = [{"id": str(one.id), "image_id": one.image_id, "erased_at": one.erased_at.isoformat()} for one in found]
        archive.add("erasures", number, told)
        last, number = found[-1].id, number + 1


async def _outcomes(session: ReadSession, row: CollectionRow, archive: ArchiveWriter) -> None:
    last, number = _BEFORE_ALL, 0
    while found := await backup_rows.outcomes_page(session, row.id, last, ROWS_A_PART):
        archive.add("outcomes", number, found)
        last, number = (found[-1]["image_id"], found[-1]["recipe"]), number + 1

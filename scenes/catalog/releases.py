"""Index releases: added when built and verified, flipped in one transaction, the previous one kept."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Text, cast, func, insert, select, update

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import collections, releases
from scenes.errors import NotFound
from scenes.recipe import IndexRecipe


@dataclass(frozen=True, slots=True)
class Release:
    """A verified index folder over all descriptions up to `generation`; `rows` counts images.

    `encoder_name` is what loads the encoder, None for the shipped one.
    """

    id: UUID
    collection_id: int
    encoder: str
    index_recipe: IndexRecipe
    generation: int
    rows: int
    folder: str
    manifest_sha256: str
    recall_at_10: float | None
    created_at: datetime
    encoder_name: str | None = None


async def add(session: WriteSession, release: Release) -> None:
    values = {name: getattr(release, name) for name in Release.__slots__}
    await session.execute(insert(releases).values(values | {"index_recipe": release.index_recipe.model_dump()}))


async def flip(session: WriteSession, collection_id: int, release_id: UUID) -> None:
    """Make a release the active one; the active one becomes the previous."""
    await session.execute(
        update(collections)
        .where(collections.c.id == collection_id)
        .values(previous_release=collections.c.active_release, active_release=release_id)
    )


async def propose(session: WriteSession, collection_id: int, release_id: UUID | None) -> None:
    """Make a release of another encoder the candidate, or have none."""
    mine = update(collections).where(collections.c.id == collection_id)
    await session.execute(mine.values(candidate_release=release_id))


async def switch(session: WriteSession, collection_id: int, release: Release) -> None:
    """Let a release answer, and its encoder be the collection's; what was active becomes the previous."""
    encoder = func.jsonb_build_object("encoder", cast(release.encoder_name, Text))
    await session.execute(
        update(collections)
        .where(collections.c.id == collection_id)
        .values(
            previous_release=collections.c.active_release,
            active_release=release.id,
            candidate_release=func.nullif(collections.c.candidate_release, release.id),
            settings=collections.c.settings.op("||")(encoder),
        )
    )


async def rollback(session: WriteSession, collection_id: int) -> Release:
    """Swap the active and the previous release. Raises `NotFound` (`release_previous_missing`)."""
    swapped = (
        update(collections)
        .where(collections.c.id == collection_id, collections.c.previous_release.is_not(None))
        .values(active_release=collections.c.previous_release, previous_release=collections.c.active_release)
    )
    if (await session.execute(swapped)).rowcount != 1:
        raise NotFound("release_previous_missing", "there is no previous release to go back to")
    release = await active(session, collection_id)
    assert release is not None  # noqa: S101 - the row was just written in this transaction
    return release


async def forget_previous(session: WriteSession, collection_id: int) -> None:
    """There is nothing to roll back to any more."""
    await session.execute(update(collections).where(collections.c.id == collection_id).values(previous_release=None))


async def active(session: ReadSession, collection_id: int) -> Release | None:
    """The release that searches use, None before the first one."""
    joined = collections.c.active_release == releases.c.id
    found = select(releases).join(collections, joined).where(collections.c.id == collection_id)
    row = (await session.execute(found)).one_or_none()
    return None if row is None else _as_release(row)


async def get(session: ReadSession, release_id: UUID) -> Release | None:
    """A release by its id, None where the catalog does not know it."""
    row = (await session.execute(select(releases).where(releases.c.id == release_id))).one_or_none()
    return None if row is None else _as_release(row)


def _as_release(row: Row[tuple[object, ...]]) -> Release:
    values = {name: getattr(row, name) for name in Release.__slots__}
    return Release(**(values | {"index_recipe": IndexRecipe.model_validate(row.index_recipe)}))

"""What people say of the results of a stored search; it lives as long as the search does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import descriptions, feedback, images, searches
from scenes.description import SceneDescription

Verdict = Literal["relevant", "irrelevant"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with the query, where the policy kept it, and the image's current description."""

    query: str | None
    description: SceneDescription
    verdict: Verdict


async def say(session: WriteSession, search_id: UUID, image_id: str, verdict: Verdict) -> None:
    """Remember a verdict; a later one on the same image replaces it."""
    new = upsert(feedback).values(search_id=search_id, image_id=image_id, verdict=verdict)
    await session.execute(
        new.on_conflict_do_update(index_elements=["search_id", "image_id"], set_={"verdict": verdict})
    )


async def judged(session: ReadSession, collection_id: int) -> AsyncIterator[Judged]:
    """All verdicts of a collection on images that are still there, the oldest first."""
    of_search = feedback.c.search_id == searches.c.id
    same: Any = (images.c.image_id == feedback.c.image_id) & (images.c.collection_id == searches.c.collection_id)
    found = (
        select(searches.c.query_text, descriptions.c.body, feedback.c.verdict)
        .select_from(feedback)
        .join(searches, of_search)
        .join(images, same)
        .join(descriptions, descriptions.c.id == images.c.description_id)
        .where(searches.c.collection_id == collection_id)
        .order_by(feedback.c.created_at)
    )
    for row in await session.execute(found):
        yield Judged(row.query_text, SceneDescription.model_validate(row.body), row.verdict)

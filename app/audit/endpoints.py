"""The audit log over REST: every write that was acknowledged, by whom and when, page by page."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict

from app.http.access import CallerDependency
from app.http.parameters import After, Limit
from app.http.problems import usual_responses
from app.state import state_of
from scenes.catalog import audit
from scenes.catalog.keys import EVERY_COLLECTION
from scenes.collection import CollectionName

router = APIRouter(prefix="/v1/audit", tags=["audit"])
_PROBLEMS = usual_responses()
Of = Annotated[CollectionName | None, Query(description="Only writes to this collection.")]
By = Annotated[str | None, Query(pattern=r"^[a-z0-9_]{1,64}$", description="Only writes by this key.")]
_EXAMPLE: dict[str, Any] = {
    "entries": [
        {
            "id": 17,
            "at": "2026-01-02T03:04:05Z",
            "key_id": "key_0123456789abcdef",
            "action": "image.edit",
            "collection": "photos",
            "target": "0" * 64,
        }
    ],
    "next": None,
}


class Entry(BaseModel):
    """One write. `target` names the image, key, job or search; `key_id` 'person' came by the login link."""

    id: int
    at: datetime
    key_id: str
    action: str
    collection: str | None
    target: str | None


class AuditPage(BaseModel):
    """Some writes, the oldest first; `next` is the `after` of the following page, null on the last one."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    entries: tuple[Entry, ...]
    next: int | None


@router.get("", responses=_PROBLEMS)
async def list_audit(
    request: Request,
    caller: CallerDependency,
    collection: Of = None,
    key_id: By = None,
    after: After = 0,
    limit: Limit = 100,
) -> AuditPage:
    """The writes to the collections that this key administers, in the order of their commits."""
    own = caller.key.collection
    wanted = collection or (None if own == EVERY_COLLECTION else own)
    caller.require("admin", wanted)
    async with state_of(request).catalog.reading() as session:
        found = await audit.page(session, wanted, key_id=key_id, after=after, limit=limit)
    following = found[-1].id if len(found) == limit else None
    return AuditPage(entries=tuple(Entry(**_facts(one)) for one in found), next=following)


def _facts(entry: audit.Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in audit.Entry.__slots__}

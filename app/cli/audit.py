"""`wordsight audit list`: who wrote what over REST, and when."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import with_catalog

if TYPE_CHECKING:
    from scenes.catalog.audit import Entry
    from scenes.catalog.connection import Catalog

Of = Annotated[str | None, typer.Option("--collection", "-c", help="Only writes to this collection.")]
By = Annotated[str | None, typer.Option("--key", help="Only writes by this key id.")]
After = Annotated[int, typer.Option("--after", min=0, help="`next` of the page before.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="The audit log: who wrote what over REST, and when.", no_args_is_help=True)
    group.callback()(_root)
    group.command("list")(list_)
    cli.add_typer(group, name="audit")


def _root() -> None:
    """The audit log: who wrote what over REST, and when."""


def list_(collection: Of = None, key_id: By = None, after: After = 0, limit: Limit = 100, as_json: Json = False) -> int:
    """List writes, the oldest first."""
    found = with_catalog(lambda catalog, _: _list(catalog, collection, key_id, after, limit))
    lines = [
        f"{one.at:%Y-%m-%d %H:%M:%S}  {one.key_id}  {one.action:<20}{one.collection or ''}  {one.target or ''}"
        for one in found
    ]
    body = {"entries": [asdict(one) | {"at": one.at.isoformat()} for one in found]}
    following = found[-1].id if len(found) == limit else None
    output.result(as_json, {**body, "next": following}, "\n".join(lines) or "nothing was written yet")
    return 0


async def _list(
    catalog: "Catalog", collection: str | None, key_id: str | None, after: int, limit: int
) -> "list[Entry]":
    from scenes.catalog import audit

    async with catalog.reading() as session:
        return await audit.page(session, collection, key_id=key_id, after=after, limit=limit)

"""`wordsight gone`: sources that disappeared are listed, and their images removed on request."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output
from app.cli.caption import SourceArgument
from app.cli.options import CollectionOption, Json
from app.cli.wiring import with_catalog

if TYPE_CHECKING:
    from scenes.catalog.connection import Catalog

RemoveOption = Annotated[bool, typer.Option("--remove", help="Remove their images from the collection.")]
_A_TRANSACTION = 1_000


def register(cli: typer.Typer) -> None:
    cli.command()(gone)


def gone(
    source: SourceArgument, collection: CollectionOption, remove: RemoveOption = False, as_json: Json = False
) -> int:
    """List the images of a collection that were read from SOURCE and are in it no more; with --remove, remove them.

    What --delete-source deleted counts as gone, too. An image that is also known from elsewhere stays.
    """
    found, removed = with_catalog(lambda catalog, _: _gone(catalog, source, collection, remove=remove))
    lines = [f"{image_id}  {uris[0]}" for image_id, uris in found.items()]
    body = {"gone": [{"image_id": key, "uris": list(uris)} for key, uris in found.items()], "removed": removed}
    output.result(as_json, body, "\n".join([*lines, f"{len(found)} gone, {removed} removed"]))
    return 0


async def _gone(catalog: "Catalog", source: str, name: str, *, remove: bool) -> tuple[dict[str, tuple[str, ...]], int]:
    from captioner.batches.missing_sources import disappeared
    from scenes.catalog import collections, images

    async with catalog.reading() as session:
        collection = await collections.get(session, name)
    found = await disappeared(catalog, collection.id, source)
    ids, removed = list(found) if remove else [], 0
    for start in range(0, len(ids), _A_TRANSACTION):
        async with catalog.writing() as session:
            removed += await images.delete(session, collection.id, ids[start : start + _A_TRANSACTION])
    return found, removed

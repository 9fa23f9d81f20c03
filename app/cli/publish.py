"""`wordsight publish`: batch files enter the catalog, exactly once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output
from app.cli.options import CollectionOption, Json
from app.cli.wiring import checked, load_encoder, with_catalog

if TYPE_CHECKING:
    from app.settings import Settings
    from scenes.catalog.connection import Catalog
    from scenes.catalog.publishing import PublishCounts


def register(cli: typer.Typer) -> None:
    cli.command()(publish)


def publish(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of `caption run --out`.")],
    collection: CollectionOption,
    as_json: Json = False,
) -> int:
    """Publish the batches in DIR into a collection (made if need be) and make them searchable.

    However often and from however many machines this runs, each description is stored once.
    """
    counts = with_catalog(lambda catalog, config: _publish(catalog, config, folder, collection))
    body = {
        "published": counts.published,
        "already": counts.already,
        "superseded_by_edit": counts.superseded_by_edit,
    }
    output.result(as_json, body, "\n".join(f"{name:<20}{n:>8}" for name, n in body.items()))
    return 0


async def _publish(catalog: "Catalog", config: "Settings", out: Path, name: str) -> "PublishCounts":
    from captioner.batches.folder import BatchFolder
    from captioner.batches.publish import publish as publish_batches
    from indexer.releases.refresh import refresh
    from scenes.catalog import collections
    from scenes.catalog.publishing import PublishCounts
    from scenes.collection import Collection

    folders = BatchFolder.all_in(out)
    async with catalog.writing() as session:
        row = await collections.ensure(session, checked(Collection, name=name, engine=folders[0].recipe.engine))
    counts = PublishCounts()
    for folder in folders:
        with output.progress("publishing") as tick:
            counts += await publish_batches(catalog, row.id, folder, tick)
    with output.progress("embedding") as tick:
        await refresh(catalog, name, load_encoder(row.settings.encoder), config.home, tick=tick)
    return counts

"""`wordsight ingest`: caption, publish and index in one go."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output, tallies
from app.cli.options import CollectionOption, ConsentOption, EngineOption, EngineOptions, Json, ModelOption
from app.cli.wiring import (
    EngineChoice,
    checked,
    choose_engine,
    engine_name,
    load_encoder,
    make_describer,
    open_catalog,
    settings,
)
from scenes.errors import NotFound

if TYPE_CHECKING:
    from captioner.batches import BatchFolder
    from captioner.describer import Describer
    from captioner.run import Tally
    from scenes.catalog.collections import CollectionRow
    from scenes.catalog.engine import Catalog

KeepOption = Annotated[bool, typer.Option("--keep-batches", help="Keep the batch files after publishing.")]


def register(cli: typer.Typer) -> None:
    cli.command()(ingest)


def ingest(
    source: Annotated[str, typer.Argument(help="A folder, a file, a glob or a .txt list of files.")],
    collection: CollectionOption,
    engine_options: EngineOptions = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    consent: ConsentOption = False,
    keep_batches: KeepOption = False,
    as_json: Json = False,
) -> int:
    """Describe every image of SOURCE, publish the descriptions and make them searchable.

    Creates the collection. What is described already is not described again; Ctrl-C finishes the batch in hand, and
    the same command goes on from there. Images are read, never kept. Exit code 1 means that some failed: run it again.
    """
    wanted = EngineChoice(engine_name(engine), model, tuple(engine_options or ()), consent)
    tally = asyncio.run(run(source, collection, wanted, keep_batches=keep_batches))
    output.result(as_json, tallies.as_json(tally), tallies.as_text(tally))
    return tallies.exit_code(tally)


async def run(source: str, name: str, wanted: EngineChoice, *, keep_batches: bool = False) -> "Tally":
    """Caption, publish and index a source into a collection."""
    from captioner.batches import BatchFolder
    from captioner.publish import publish

    config = settings()
    async with open_catalog(config) as catalog:
        collection, describer = await _prepare(catalog, name, wanted)
        folder = BatchFolder.for_recipe(config.home / "batches" / str(collection.id), describer.recipe)
        tally = await _caption(source, catalog, collection.id, describer, folder)
        with output.progress("publishing") as tick:
            await publish(catalog, collection.id, folder, tick)
        if not keep_batches:
            shutil.rmtree(folder.folder)
        if not tally.stopped:
            await _index(catalog, collection, config.home)
    return tally


async def _prepare(catalog: "Catalog", name: str, wanted: EngineChoice) -> tuple["CollectionRow", "Describer"]:
    """The engine is ready before the collection is made: a failed start leaves nothing behind."""
    from scenes.catalog import collections
    from scenes.collection import Collection

    known = await _known(catalog, name)
    before = known.settings if known else checked(Collection, name=name)
    chosen = choose_engine(wanted.engine, known.settings if known else None)
    model = wanted.model or before.engine_model
    agreed = wanted.consent or before.third_party_consent
    describer = make_describer(chosen, model, list(wanted.options), consent=agreed)
    after = before.model_copy(update={"engine": chosen, "engine_model": model, "third_party_consent": agreed})
    async with catalog.writing() as session:
        await collections.ensure(session, after)
        return await collections.update(session, after), describer


async def _known(catalog: "Catalog", name: str) -> "CollectionRow | None":
    from scenes.catalog import collections

    try:
        async with catalog.reading() as session:
            return await collections.get(session, name)
    except NotFound:
        return None


async def _caption(
    source: str, catalog: "Catalog", collection_id: int, describer: "Describer", folder: "BatchFolder"
) -> "Tally":
    """Runs beside the event loop, so that what the catalog knows can be asked meanwhile."""
    from captioner.run import Stop, caption
    from captioner.sources import items
    from scenes.catalog import publishing

    loop = asyncio.get_running_loop()
    fingerprint = describer.recipe.fingerprint()

    async def ask(image_ids: Sequence[str]) -> set[str]:
        async with catalog.reading() as session:
            return await publishing.known_under(session, collection_id, fingerprint, image_ids)

    def known(image_ids: Sequence[str]) -> set[str]:
        return asyncio.run_coroutine_threadsafe(ask(image_ids), loop).result()

    try:
        with Stop().on_signals() as stop, output.progress("describing") as tick:
            found = items(source)
            show = tallies.ticker(tick)
            return await asyncio.to_thread(caption, found, describer, folder, known=known, stop=stop, tick=show)
    finally:
        describer.close()


async def _index(catalog: "Catalog", collection: "CollectionRow", home: Path) -> None:
    from indexer.refresh import refresh

    with output.progress("embedding") as tick:
        encoder = load_encoder(collection.settings.encoder)
        await refresh(catalog, collection.settings.name, encoder, home, tick=tick)

"""`wordsight ingest`: caption, publish and index in one go."""

import asyncio
import shutil
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import captioning, output, stopping, tallies
from app.cli.caption import SourceArgument
from app.cli.caption_options import CaptionOptions, with_caption_options
from app.cli.lookup import known_in
from app.cli.options import CollectionOption, Json
from app.cli.wiring import (
    EngineChoice,
    checked,
    choose_engine,
    load_encoder,
    make_describer,
    open_catalog,
    settings,
)
from scenes.errors import EnvironmentMissing, NotFound

if TYPE_CHECKING:
    from app.settings import Settings
    from captioner.batches.folder import BatchFolder
    from captioner.engines.engine import Describer
    from captioner.pipeline.tally import Tally
    from scenes.catalog.collections import CollectionRow
    from scenes.catalog.connection import Catalog
    from scenes.collection import Collection

KeepOption = Annotated[bool, typer.Option("--keep-batches", help="Keep the batch files after publishing.")]


def register(cli: typer.Typer) -> None:
    cli.command()(with_caption_options(ingest))


def ingest(
    source: SourceArgument,
    collection: CollectionOption,
    options: CaptionOptions,
    keep_batches: KeepOption = False,
    as_json: Json = False,
) -> int:
    """Describe every image of SOURCE, publish the descriptions and make them searchable.

    Creates the collection. What is described already is not described again; Ctrl-C finishes the batch in hand, and
    the same command goes on from there. Images are read, never kept. Exit code 1 means that some failed: run it again.
    """
    tally = stopping.run(run(source, collection, options, keep_batches=keep_batches))
    tallies.show(as_json, tally, {})
    return tallies.exit_code(tally)


async def run(source: str, name: str, options: CaptionOptions, *, keep_batches: bool = False) -> "Tally":
    """Caption, publish and index a source into a collection."""
    from captioner.batches.publish import publish
    from captioner.sources import check

    check(source)
    config = settings()
    async with open_catalog(config) as catalog:
        config.models.allow_engine_model(options.choice.model)
        with await _describer(catalog, config, name, options.choice) as describer:
            collection = await _prepared(catalog, name, options.choice, describer)
            recipe = captioning.whole_recipe(describer, options)
            folder = captioning.batch_folder(config.home / "batches" / str(collection.id), recipe)
            tally = await _caption(source, catalog, collection.id, describer, folder, options)
        with output.progress("publishing") as tick:
            await publish(catalog, collection.id, folder, tick)
        swept = captioning.sweep_source(source, folder, options)
        if not keep_batches and not (swept and swept.waiting):
            shutil.rmtree(folder.folder)
        if not tally.stopped:
            await _index(catalog, collection, config.home)
    return tally


async def _describer(
    catalog: "Catalog", config: "Settings", name: str, choice: EngineChoice
) -> "AbstractContextManager[Describer]":
    """The engine, ready before the collection is made: a failed start leaves nothing behind."""
    before = await _settings(catalog, name)
    chosen = choose_engine(choice.engine, before)
    agreed, model = choice.consent or before.third_party_consent, choice.model or before.engine_model
    config.models.check_engine(before.model_copy(update={"engine": chosen, "engine_model": model}), EnvironmentMissing)
    made = make_describer(chosen, model, list(choice.options), consent=agreed)
    return closing(made)


async def _prepared(catalog: "Catalog", name: str, choice: EngineChoice, describer: "Describer") -> "CollectionRow":
    """The collection, with the engine, the model and the consent that were given."""
    from scenes.catalog import collections

    before = await _settings(catalog, name)
    after = before.model_copy(
        update={
            "engine": describer.recipe.engine,
            "engine_model": choice.model or before.engine_model,
            "third_party_consent": choice.consent or before.third_party_consent,
        }
    )
    async with catalog.writing() as session:
        await collections.ensure(session, after)
        return await collections.update(session, after)


async def _settings(catalog: "Catalog", name: str) -> "Collection":
    from scenes.collection import Collection

    known = await _known(catalog, name)
    return known.settings if known else checked(Collection, name=name)


async def _known(catalog: "Catalog", name: str) -> "CollectionRow | None":
    from scenes.catalog import collections

    try:
        async with catalog.reading() as session:
            return await collections.get(session, name)
    except NotFound:
        return None


async def _caption(
    source: str,
    catalog: "Catalog",
    collection_id: int,
    describer: "Describer",
    folder: "BatchFolder",
    options: CaptionOptions,
) -> "Tally":
    """Runs beside the event loop, so that what the catalog knows can be asked meanwhile."""
    from captioner.pipeline.stop import Stop

    known = known_in(catalog, collection_id, folder.recipe.fingerprint())
    with Stop().on_signals() as stop:
        return await asyncio.to_thread(captioning.caption_source, source, describer, folder, options, stop, known)


async def _index(catalog: "Catalog", collection: "CollectionRow", home: Path) -> None:
    from indexer.releases.refresh import refresh

    with output.progress("embedding") as tick:
        encoder = load_encoder(collection.settings.encoder)
        await refresh(catalog, collection.settings.name, encoder, home, tick=tick)

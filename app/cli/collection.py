"""`wordsight collection create|list|show|set|delete`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import checked, with_catalog
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from scenes.catalog.collections import CollectionRow
    from scenes.catalog.connection import Catalog

Name = Annotated[str, typer.Argument(metavar="COLLECTION", help="Lower-case letters, digits, - and _.")]
Engine = Annotated[str | None, typer.Option("--engine", metavar="basic|vllm|openai", help="Captioning engine.")]
Log = Annotated[
    str | None,
    typer.Option("--search-log", metavar="off|results|keyed-hash|full", help="What is stored of each search."),
]
LogDays = Annotated[int | None, typer.Option("--search-log-days", min=1, help="Days a stored search is kept.")]
Encoder = Annotated[str | None, typer.Option("--encoder", help="Encoder model name or folder.")]
Yes = Annotated[bool, typer.Option("--yes", help="Really delete it and everything in it.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Collections and their settings.", no_args_is_help=True)
    for command in (create, show, delete):
        group.command()(command)
    group.command("list")(list_)
    group.command("set")(set_)
    cli.add_typer(group, name="collection")


def create(
    name: Name,
    engine: Engine = None,
    search_log: Log = None,
    search_log_days: LogDays = None,
    encoder: Encoder = None,
    as_json: Json = False,
) -> int:
    """Make an empty collection."""
    given = _given(engine, search_log, search_log_days, encoder)
    return _print(as_json, with_catalog(lambda catalog, config: _create(catalog, config, name, given)))


def set_(
    name: Name,
    engine: Engine = None,
    search_log: Log = None,
    search_log_days: LogDays = None,
    encoder: Encoder = None,
    as_json: Json = False,
) -> int:
    """Change settings of a collection; what is left out stays."""
    given = _given(engine, search_log, search_log_days, encoder)
    return _print(as_json, with_catalog(lambda catalog, config: _set(catalog, config, name, given)))


def show(name: Name, as_json: Json = False) -> int:
    """Show a collection's settings and counts."""
    return _print(as_json, with_catalog(lambda catalog, _: _show(catalog, name)))


def list_(as_json: Json = False) -> int:
    """List all collections."""
    found = with_catalog(lambda catalog, _: _list(catalog))
    text = "\n".join(f"{one['name']:<24}{one['images']:>10} images" for one in found) or "there are no collections yet"
    output.result(as_json, {"collections": found}, text)
    return 0


def delete(name: Name, yes: Yes = False, as_json: Json = False) -> int:
    """Delete a collection with everything in it."""
    if not yes:
        raise BadInput("not_confirmed", f"this would delete {name!r} and all of its descriptions", fix="add --yes")
    return _print(as_json, with_catalog(lambda catalog, _: _delete(catalog, name)))


def _given(engine: str | None, log: str | None, days: int | None, encoder: str | None) -> dict[str, Any]:
    expiry = timedelta(days=days) if days else None
    values = {"engine": engine, "search_log": log, "search_log_expiry": expiry, "encoder": encoder}
    return {name: value for name, value in values.items() if value is not None}


async def _create(catalog: "Catalog", config: "Settings", name: str, given: dict[str, Any]) -> dict[str, Any]:
    from scenes.catalog import collections
    from scenes.collection import Collection

    config.models.allow_encoder(given.get("encoder"))
    async with catalog.writing() as session:
        return await _body(session, await collections.create(session, checked(Collection, name=name, **given)))


async def _set(catalog: "Catalog", config: "Settings", name: str, given: dict[str, Any]) -> dict[str, Any]:
    from scenes.catalog import collections
    from scenes.collection import Collection

    config.models.allow_encoder(given.get("encoder"))
    async with catalog.writing() as session:
        before = (await collections.get(session, name)).settings
        after = checked(Collection, **(before.model_dump() | given))
        if after.encoder != before.encoder:
            await _refuse_where_vectors_answer(session, name)
        return await _body(session, await collections.update(session, after))


async def _refuse_where_vectors_answer(session: Any, name: str) -> None:
    """Another encoder's queries fit no vectors: where there are some, they are made beside first."""
    from scenes.catalog import collections

    row = await collections.get(session, name)
    if row.active_release is not None:
        raise BadInput(
            "encoder_in_use",
            f"{name!r} is answered by the vectors of its encoder",
            fix=f"wordsight index build --beside --encoder NAME -c {name}; index compare; index flip",
        )


async def _show(catalog: "Catalog", name: str) -> dict[str, Any]:
    from scenes.catalog import collections

    async with catalog.reading() as session:
        return await _body(session, await collections.get(session, name))


async def _list(catalog: "Catalog") -> list[dict[str, Any]]:
    from scenes.catalog import collections

    async with catalog.reading() as session:
        return [await _body(session, row) for row in await collections.all_(session)]


async def _delete(catalog: "Catalog", name: str) -> dict[str, Any]:
    from scenes.catalog import collections

    async with catalog.writing() as session:
        body = await _body(session, await collections.get(session, name))
        await collections.delete(session, name)
        return body


async def _body(session: Any, row: "CollectionRow") -> dict[str, Any]:
    from scenes.catalog import collections, embeddings

    counts = await collections.counts(session, row.id)
    pending = (await embeddings.backlog(session, row)).count
    facts = {"images": counts.images, "pending": pending, "refused": counts.refused, "failed": counts.failed}
    release = str(row.active_release) if row.active_release else None
    return row.settings.model_dump(mode="json") | facts | {"generation": row.generation, "release": release}


def _print(as_json: bool, body: dict[str, Any]) -> int:
    output.result(as_json, body, "\n".join(f"{name:<22}{value}" for name, value in body.items()))
    return 0

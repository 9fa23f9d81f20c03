"""`wordsight index build|status|verify|repair`: index releases of a collection; a change of encoder is next door."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import index_encoder, output
from app.cli.options import CollectionOption, Json
from app.cli.wiring import load_encoder, with_catalog
from scenes.errors import BadInput, Corrupt

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.releases.consistency import Drift, Report
    from indexer.releases.repair import Repaired
    from scenes.catalog.connection import Catalog
    from scenes.catalog.recall import Sampled
    from scenes.catalog.releases import Release

EncoderOption = Annotated[str | None, typer.Option("--encoder", help="With --beside: the encoder's name or folder.")]
Beside = Annotated[bool, typer.Option("--beside", help="Leave the encoder that answers alone; flip later.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(
        help="Index releases: built beside, verified, flipped; the last one kept.", no_args_is_help=True
    )
    group.command()(build)
    group.command()(status)
    group.command()(verify)
    group.command()(repair)
    index_encoder.register(group)
    cli.add_typer(group, name="index")


def build(
    collection: CollectionOption, encoder: EncoderOption = None, beside: Beside = False, as_json: Json = False
) -> int:
    """Embed what is missing, build a new release, verify it against exact search and flip to it.

    With --beside and --encoder, all of it happens beside the encoder that answers: look with `index compare`, let it
    answer with `index flip`.
    """
    if beside != (encoder is not None):
        raise BadInput("beside_incomplete", "another encoder is built with both --encoder NAME and --beside")
    body = with_catalog(lambda catalog, config: _build(catalog, config, collection, encoder))
    _print(as_json, body)
    return 0


def status(collection: CollectionOption, as_json: Json = False) -> int:
    """Say which release is active, whether its files are whole, and how many images changed since it was built."""
    _print(as_json, with_catalog(lambda catalog, config: _status(catalog, config, collection)))
    return 0


def verify(collection: CollectionOption, as_json: Json = False) -> int:
    """Compare every file and every vector of the active release with Postgres; exit code 1 where they differ."""
    report = with_catalog(lambda catalog, config: _verify(catalog, config, collection))
    _print(as_json, _reported(report))
    return 1 if report.drift else 0


def repair(collection: CollectionOption, as_json: Json = False) -> int:
    """Mend all that `verify` finds, while searches go on; exit code 1 where something could not be mended."""
    done = with_catalog(lambda catalog, config: _repair(catalog, config, collection))
    _print(as_json, _reported(done.after) | {"mended": [_drift(one) for one in done.mended]})
    return 1 if done.after.drift else 0


async def _build(catalog: "Catalog", config: "Settings", name: str, beside: str | None) -> dict[str, Any]:
    from indexer.releases.refresh import refresh
    from scenes.catalog import collections

    if beside is not None:
        return _body(await index_encoder.prepare(catalog, config, name, beside), 0)
    async with catalog.reading() as session:
        row = await collections.get(session, name)
    with output.progress("embedding") as tick:
        encoder = load_encoder(row.settings.encoder)
        done = await refresh(catalog, name, encoder, config.home, tick=tick, always=True)
    return _body(done.release, 0)


async def _status(catalog: "Catalog", config: "Settings", name: str) -> dict[str, Any]:
    from indexer.releases.release import open_release
    from scenes.catalog import collections, embeddings, recall, releases

    async with catalog.reading() as session:
        row = await collections.get(session, name)
        release = await releases.active(session, row.id)
        since = release.generation if release else 0
        changed = await embeddings.count_since(session, row.id, since)
        candidate = await releases.get(session, row.candidate_release) if row.candidate_release else None
        served = await recall.newest(session, release.id) if release else None
    body = _body(release, changed) | {"candidate": str(candidate.id) if candidate else None} | _served(served)
    try:
        if release is not None:
            open_release(release, config.home)
    except Corrupt as error:
        body["damage"] = f"{error.message}; another release answers, or Postgres; index repair mends it"
    return body


async def _verify(catalog: "Catalog", config: "Settings", name: str) -> "Report":
    from indexer.releases.consistency import verify
    from scenes.catalog import collections

    async with catalog.reading() as session:
        row = await collections.get(session, name)
    return await verify(catalog, row, load_encoder(row.settings.encoder).recipe, config.home)


async def _repair(catalog: "Catalog", config: "Settings", name: str) -> "Repaired":
    from indexer.releases.repair import repair
    from scenes.catalog import collections

    async with catalog.reading() as session:
        row = await collections.get(session, name)
    with output.progress("embedding") as tick:
        return await repair(catalog, row, load_encoder(row.settings.encoder), config.home, tick)


def _reported(report: "Report") -> dict[str, Any]:
    body = _body(report.release, 0) | {"rows": report.rows, "recall_at_10": report.recall_at_10}
    return body | {"drift": [_drift(one) for one in report.drift]}


def _drift(drift: "Drift") -> dict[str, Any]:
    return {"kind": drift.kind, "count": drift.count, "detail": drift.detail}


def _served(sampled: "Sampled | None") -> dict[str, Any]:
    """What the servers' samples of this release found, compared with exact search."""
    from indexer.releases.recall_watch import is_below_promise

    if sampled is None or not sampled.searches:
        return {"served_recall": None, "served_samples": 0, "below_promise": None}
    told = "served recall@10 is below the promise; index verify looks closer" if is_below_promise(sampled) else None
    return {"served_recall": sampled.recall, "served_samples": sampled.searches, "below_promise": told}


def _body(release: "Release | None", changed: int) -> dict[str, Any]:
    return {
        "release": str(release.id) if release else None,
        "rows": release.rows if release else 0,
        "recall_at_10": release.recall_at_10 if release else None,
        "kind": release.index_recipe.kind if release else None,
        "encoder": release.encoder_name if release else None,
        "changed_since": changed,
        "damage": None,
        "drift": None,
    }


def _print(as_json: bool, body: dict[str, Any]) -> None:
    shown = {name: value for name, value in body.items() if value is not None}
    output.result(as_json, body, "\n".join(f"{name:<14}{value}" for name, value in shown.items()))

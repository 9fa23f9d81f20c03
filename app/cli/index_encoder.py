"""`wordsight index build --beside|compare|flip|rollback|forget`: another encoder, without a moment of silence."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import CollectionOption, Json
from app.cli.wiring import load_encoder, with_catalog
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.evaluation.comparison import Compared, Question
    from scenes.catalog.connection import Catalog
    from scenes.catalog.releases import Release

Queries = Annotated[
    Path | None,
    typer.Option("--queries", exists=True, help='Golden queries, JSON Lines: {"query", "expected": image or own id}.'),
]
Most = Annotated[int, typer.Option("--most", min=1, max=10_000, help="Stored searches to ask again, at most.")]
K = Annotated[int, typer.Option("--k", min=1, max=100, help="How many results of each answer to compare.")]


def register(group: typer.Typer) -> None:
    for command in (compare, flip, rollback, forget):
        group.command()(command)


def compare(
    collection: CollectionOption, queries: Queries = None, most: Most = 200, k: K = 10, as_json: Json = False
) -> int:
    """Ask golden queries and stored searches of both encoders: what stays, what moves, what is found.

    Stored searches can be asked again only where the collection's policy keeps their text (search_log full).
    """
    body = with_catalog(lambda catalog, config: _compare(catalog, config, collection, (queries, most, k)))
    output.result(as_json, body, "\n".join(f"{name:<14}{value}" for name, value in body.items()))
    return 0


def flip(collection: CollectionOption, as_json: Json = False) -> int:
    """Let the encoder that stands beside answer, in one transaction; servers follow without a restart."""
    return _print(as_json, with_catalog(lambda catalog, config: _flip(catalog, config, collection)))


def rollback(collection: CollectionOption, as_json: Json = False) -> int:
    """Go back to the previous release, and to its encoder; what changed since is still found beside it."""
    return _print(as_json, with_catalog(lambda catalog, config: _rollback(catalog, config, collection)))


def forget(collection: CollectionOption, as_json: Json = False) -> int:
    """Drop the vectors and releases of every encoder but the one that answers; there is no rollback to it then."""
    dropped = with_catalog(lambda catalog, config: _forget(catalog, config, collection))
    output.result(as_json, {"dropped": dropped}, f"vectors of {dropped} descriptions dropped")
    return 0


async def prepare(catalog: "Catalog", config: "Settings", name: str, encoder_name: str) -> "Release":
    """Build a release of another encoder beside the one that answers."""
    from indexer.releases import encoder_change

    config.models.allow_encoder(encoder_name)
    with output.progress("embedding") as tick:
        encoder = load_encoder(encoder_name)
        return await encoder_change.prepare(catalog, name, encoder_name, encoder, config.home, tick)


async def _flip(catalog: "Catalog", config: "Settings", name: str) -> dict[str, Any]:
    from indexer.releases.encoder_change import standing

    stands = await standing(catalog, name)
    return await _switch(catalog, config, stands.collection.id, stands.expected_candidate())


async def _rollback(catalog: "Catalog", config: "Settings", name: str) -> dict[str, Any]:
    from indexer.releases.encoder_change import standing
    from scenes.catalog import collections, releases

    stands = await standing(catalog, name)
    previous, active = stands.previous, stands.active
    if previous is not None and active is not None and previous.encoder != active.encoder:
        return await _switch(catalog, config, stands.collection.id, previous)
    async with catalog.writing() as session:
        row = await collections.get(session, name)
        release = await releases.rollback(session, row.id)
        await collections.notify(session, row.id, row.generation)
    return _body(release, 0)


async def _switch(catalog: "Catalog", config: "Settings", collection_id: int, release: "Release") -> dict[str, Any]:
    from indexer.releases.encoder_change import switch
    from indexer.releases.release import open_release

    open_release(release, config.home)
    with output.progress("embedding") as tick:
        embedded = await switch(catalog, collection_id, release, load_encoder(release.encoder_name), tick)
    return _body(release, embedded)


async def _forget(catalog: "Catalog", config: "Settings", name: str) -> int:
    from indexer.releases.encoder_change import forget_others
    from indexer.releases.release import prune
    from scenes.catalog import collections

    dropped = await forget_others(catalog, name)
    async with catalog.writing() as turn:
        row = await collections.get(turn, name)
        await collections.hold_for_build(turn, row.id)
        await prune(catalog, row.id, config.home)
    return dropped


async def _compare(
    catalog: "Catalog", config: "Settings", name: str, asked: tuple[Path | None, int, int]
) -> dict[str, Any]:
    from indexer.evaluation.comparison import answers
    from indexer.evaluation.comparison import compare as measure
    from indexer.releases.encoder_change import standing
    from indexer.retrieval.retriever import make_retriever
    from scenes.catalog import searches

    queries, most, k = asked
    stands = await standing(catalog, name)
    candidate = stands.expected_candidate()
    async with catalog.reading() as session:
        stored = await searches.texts(session, stands.collection.id, most)
    questions = _questions(queries, stored)
    names = (stands.collection.settings.encoder, candidate.encoder_name)
    retriever = make_retriever(catalog, load_encoder, config.home)
    asked_for = [one.query for one in questions]
    before, after = [await answers(catalog, retriever, stands.collection, one, asked_for, k) for one in names]
    retriever.close()
    return _compared(measure(questions, before, after, k), names, k)


def _questions(file: Path | None, stored: list[str]) -> list["Question"]:
    from indexer.evaluation.comparison import Question

    lines = file.read_text().splitlines() if file else []
    golden = [_golden(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return [*golden, *(Question(query, "stored") for query in stored)]


def _golden(number: int, line: str) -> "Question":
    from indexer.evaluation.comparison import Question

    try:
        body = json.loads(line)
        query, expected = body["query"], body.get("expected")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput("queries_invalid", f'line {number} is no JSON object with a "query"') from error
    if not isinstance(query, str) or not query.strip() or not isinstance(expected, str | None):
        raise BadInput("queries_invalid", f'line {number}: "query" and "expected" are texts')
    return Question(query, "golden", expected)


def _compared(found: "Compared", names: tuple[str | None, str | None], k: int) -> dict[str, Any]:
    return {"encoder": names[0], "candidate": names[1], "k": k} | asdict(found)


def _body(release: "Release", embedded: int) -> dict[str, Any]:
    return {
        "release": str(release.id),
        "rows": release.rows,
        "recall_at_10": release.recall_at_10,
        "kind": release.index_recipe.kind,
        "encoder": release.encoder_name,
        "embedded": embedded,
        "changed_since": 0,
        "damage": None,
        "drift": None,
    }


def _print(as_json: bool, body: dict[str, Any]) -> int:
    shown = {name: value for name, value in body.items() if value is not None}
    output.result(as_json, body, "\n".join(f"{name:<14}{value}" for name, value in shown.items()))
    return 0

"""`wordsight feedback export`: what searchers said of results, as pairs to calibrate with."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import CollectionOption, Json
from app.cli.wiring import with_catalog

if TYPE_CHECKING:
    from scenes.catalog.connection import Catalog

Out = Annotated[Path, typer.Argument(help="The file to write: JSON Lines of {query, description}.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Feedback on search results.", no_args_is_help=True)
    group.callback()(_group)
    group.command()(export)
    cli.add_typer(group, name="feedback")


def _group() -> None:
    """Feedback on search results."""


def export(out: Out, collection: CollectionOption, as_json: Json = False) -> int:
    """Write the results that were found relevant as calibration pairs, for `wordsight calibrate`.

    Only searches whose text was kept can be exported (`wordsight collection set NAME --search-log full`).
    """
    pairs, counts = with_catalog(lambda catalog, _: _pairs(catalog, collection))
    lines = [json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs]
    out.write_text("".join(lines), encoding="utf-8")
    body = {"file": str(out), "pairs": len(pairs), **counts}
    output.result(as_json, body, "\n".join(f"{name:<16}{value}" for name, value in body.items()))
    return 0


async def _pairs(catalog: "Catalog", name: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    from scenes.catalog import collections, feedback
    from scenes.wording import whole_text

    pairs: list[dict[str, Any]] = []
    counts = {"without_query": 0, "irrelevant": 0}
    async with catalog.reading() as session:
        row = await collections.get(session, name)
        async for one in feedback.judged(session, row.id):
            if one.query is None:
                counts["without_query"] += 1
            elif one.verdict == "irrelevant":
                counts["irrelevant"] += 1
            else:
                pairs.append({"query": one.query, "description": whole_text(one.description)})
    return pairs, counts

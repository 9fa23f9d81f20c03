"""`wordsight import`: descriptions made elsewhere, as JSON Lines."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output
from app.cli.options import CollectionOption, Json
from app.cli.wiring import checked, load_encoder, with_catalog

if TYPE_CHECKING:
    from app.settings import Settings
    from captioner.batches.import_jsonl import LineError
    from scenes.catalog.connection import Catalog
    from scenes.catalog.publishing import Publication

_ROWS_A_TRANSACTION = 1_000
_ERRORS_SHOWN = 20
_ERRORS_KEPT = 1_000


@dataclass
class _Imported:
    """`errors` are the first of those lines that were rejected."""

    lines: int = 0
    rejected: int = 0
    errors: list["LineError"] = field(default_factory=list)

    def reject(self, error: "LineError") -> None:
        self.rejected += 1
        if len(self.errors) < _ERRORS_KEPT:
            self.errors.append(error)


def register(cli: typer.Typer) -> None:
    cli.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(help='JSON Lines: {"id", "text"} or {"id", "description"} a line.')],
    collection: CollectionOption,
    as_json: Json = False,
) -> int:
    """Import descriptions that you have already, one JSON object a line, and make them searchable.

    A line is {"id": "…", "text": "a plain caption"} or {"id": "…", "description": {…}} (see `wordsight schema`), with
    optional "sha256" of the image's bytes, "uri" and "metadata". A line that can't be used is told with its number;
    the others are imported; of more than 1,000 the first are listed. Exit code 1 means that lines were rejected.
    """
    done = with_catalog(lambda catalog, config: _import(catalog, config, file, collection))
    errors = [{"line": error.line, "message": error.message} for error in done.errors]
    body = {"imported": done.lines, "rejected": done.rejected, "errors": errors}
    shown = [f"line {error.line}: {error.message}" for error in done.errors[:_ERRORS_SHOWN]]
    output.result(as_json, body, "\n".join([f"imported {done.lines}, rejected {done.rejected}", *shown]))
    return 1 if errors else 0


async def _import(catalog: "Catalog", config: "Settings", file: Path, name: str) -> _Imported:
    from captioner.batches.import_jsonl import LineError, read
    from indexer.releases.refresh import refresh
    from scenes.catalog import collections
    from scenes.collection import Collection

    lines = read(file)
    first = next(lines, None)
    async with catalog.writing() as session:
        row = await collections.ensure(session, checked(Collection, name=name))
    done, waiting = _Imported(), list["Publication"]()
    with output.progress("importing") as tick:
        while first is not None:
            if isinstance(first, LineError):
                done.reject(first)
            else:
                waiting.append(first)
            first = next(lines, None)
            if waiting and (first is None or len(waiting) >= _ROWS_A_TRANSACTION):
                await _send(catalog, row.id, waiting)
                done.lines += len(waiting)
                waiting = []
                tick(done.lines, None)
    with output.progress("embedding") as tick:
        await refresh(catalog, name, load_encoder(row.settings.encoder), config.home, tick=tick)
    return done


async def _send(catalog: "Catalog", collection_id: int, rows: list["Publication"]) -> None:
    from scenes.catalog import publishing

    async with catalog.writing() as session:
        await publishing.publish(session, collection_id, rows)

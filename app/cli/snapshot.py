"""`wordsight snapshot C --out FILE`: a collection as one signed file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import with_catalog

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.backup.create import Taken
    from scenes.catalog.connection import Catalog


def register(cli: typer.Typer) -> None:
    cli.command()(snapshot)


def snapshot(
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; an older one is replaced at the end.")],
    as_json: Json = False,
) -> int:
    """Write a collection as it is now into one signed file, while searches and writes go on.

    The file holds descriptions with their history, metadata, addresses, vectors, word vectors, how captioning ended
    and which images were erased; not stored searches, feedback or keys. It is as confidential as the collection.
    Anyone can check it against the public key told as signed_by; only this installation can sign with it.
    """
    taken = with_catalog(lambda catalog, config: _take(catalog, config, collection, out))
    body = _body(taken, out)
    output.result(as_json, body, "\n".join(f"{name:<14}{value}" for name, value in body.items()))
    return 0


async def _take(catalog: "Catalog", config: "Settings", name: str, out: Path) -> "Taken":
    from indexer.backup.create import take
    from scenes.signing.signer import Signer

    with output.progress("snapshot") as tick:
        return await take(catalog, name, out, Signer.load(config.home), tick)


def _body(taken: "Taken", out: Path) -> dict[str, Any]:
    manifest = taken.manifest
    return {
        "file": str(out),
        "bytes": out.stat().st_size,
        "manifest_sha256": taken.sha256,
        "collection": manifest.collection.name,
        "images": manifest.rows("images"),
        "descriptions": manifest.rows("descriptions"),
        "vectors": manifest.rows("embeddings"),
        "erasures": manifest.rows("erasures"),
        "generation": manifest.generation,
        "taken_at": manifest.taken_at,
        "signed_by": manifest.signed_by,
    }

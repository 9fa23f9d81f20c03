"""`wordsight restore FILE [--as NAME]`: a collection out of a snapshot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import checked, load_encoder, with_catalog
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.archive.manifest import Manifest
    from scenes.catalog.engine import Catalog
    from scenes.collection import Collection

As = Annotated[str | None, typer.Option("--as", help="Name of the restored collection; its own where left out.")]
SignedBy = Annotated[
    str | None, typer.Option("--signed-by", help="Accept only this signer: the public key that `snapshot` told.")
]
Embed = Annotated[bool, typer.Option("--embed", help="Leave the vectors out and embed the descriptions anew.")]
Encoder = Annotated[str | None, typer.Option("--encoder", help="The encoder's name or folder here, where it differs.")]


def register(cli: typer.Typer) -> None:
    cli.command()(restore)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `wordsight snapshot` wrote.")],
    name: As = None,
    signed_by: SignedBy = None,
    encoder: Encoder = None,
    embed: Embed = False,
    as_json: Json = False,
) -> int:
    """Make a collection from a snapshot and build its index; works on a bare machine.

    Signature and digests are verified before anything is written. An unknown signer is told, not refused, unless
    --signed-by names the one to accept. Images that were erased after the snapshot was taken stay away. A restore
    that is stopped leaves nothing and can be run again; the vectors must be of this installation's encoder.
    """
    body = with_catalog(lambda catalog, config: _restore(catalog, config, file, (name, signed_by, encoder, embed)))
    output.result(as_json, body, "\n".join(f"{key:<14}{value}" for key, value in body.items()))
    return 0


async def _restore(
    catalog: "Catalog", config: "Settings", file: Path, asked: tuple[str | None, str | None, str | None, bool]
) -> dict[str, Any]:
    from indexer.archive import restoring
    from indexer.archive.file import opened
    from indexer.refresh import refresh
    from scenes.signing import Signer

    name, signed_by, encoder_name, embed = asked
    with opened(file) as archive:
        manifest = archive.manifest
        signer = _judged(manifest, Signer.load(config.home).public_key, signed_by)
        settings = _settings(manifest, name, encoder_name)
        encoder = load_encoder(settings.encoder)
        if not embed:
            restoring.check_encoder(manifest, encoder.recipe)
        with output.progress("restoring") as tick:
            done = await restoring.restore(catalog, archive, settings, with_vectors=not embed, tick=tick)
    with output.progress("embedding") as tick:
        fresh = await refresh(catalog, settings.name, encoder, config.home, tick=tick)
    return {
        "collection": settings.name,
        "images": done.images,
        "descriptions": done.descriptions,
        "vectors": done.vectors,
        "embedded": fresh.embedded,
        "erased": done.erased,
        "release": str(fresh.release.id) if fresh.release else None,
        "recall_at_10": fresh.release.recall_at_10 if fresh.release else None,
        "taken_at": manifest.taken_at,
        "signed_by": manifest.signed_by,
        "signer": signer,
    }


def _judged(manifest: "Manifest", own: str, expected: str | None) -> str:
    """Whose signature it is: 'own', 'expected' or 'unknown'. Raises `BadInput` (`snapshot_of_another_signer`)."""
    if expected is not None and manifest.signed_by != expected.lower():
        raise BadInput(
            "snapshot_of_another_signer",
            f"the snapshot is signed by {manifest.signed_by}, not by {expected}",
            fix="compare with what `wordsight snapshot` told where it was taken",
        )
    if manifest.signed_by == own:
        return "own"
    if expected is None:
        output.say(f"the signer {manifest.signed_by} is not this installation: --signed-by accepts a known one only")
    return "unknown" if expected is None else "expected"


def _settings(manifest: "Manifest", name: str | None, encoder: str | None) -> "Collection":
    from scenes.collection import Collection

    given = {"name": name or manifest.collection.name, "encoder": encoder or manifest.collection.encoder}
    return checked(Collection, **(manifest.collection.model_dump() | given))

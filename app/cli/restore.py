"""`wordsight restore FILE [--as NAME]`: a collection out of a snapshot."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import checked, load_encoder, with_catalog
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.backup.manifest import Manifest
    from scenes.catalog.connection import Catalog
    from scenes.collection import Collection

_MIB = 1024 * 1024
_DEFAULT_MIB = 512
As = Annotated[str | None, typer.Option("--as", help="Name of the restored collection; its own where left out.")]
SignedBy = Annotated[
    str | None,
    typer.Option("--signed-by", metavar="KEY", help="Accept this signer: the public key that `snapshot` printed."),
]
Embed = Annotated[bool, typer.Option("--embed", help="Leave the vectors out and embed the descriptions again.")]
Encoder = Annotated[str | None, typer.Option("--encoder", help="The encoder's name or folder here, where it differs.")]
KeepPolicies = Annotated[
    bool,
    typer.Option("--keep-policies", help="Keep consent, engine, retention and search log as the snapshot has them."),
]
MaxPart = Annotated[
    int, typer.Option("--max-part-mib", min=1, max=1_048_576, help="The memory that one part of it may need, in MiB.")
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The command line."""

    file: Path
    name: str | None
    signed_by: str | None
    encoder: str | None
    embed: bool
    keep_policies: bool
    max_part_mib: int

    def accepting(self, signer: str) -> str:
        """The same command line for a snapshot of this signer."""
        words = ["wordsight", "restore", str(self.file)]
        words += ["--as", self.name] if self.name else []
        words += ["--encoder", self.encoder] if self.encoder else []
        words += ["--embed"] if self.embed else []
        words += ["--keep-policies"] if self.keep_policies else []
        words += ["--max-part-mib", str(self.max_part_mib)] if self.max_part_mib != _DEFAULT_MIB else []
        return shlex.join([*words, "--signed-by", signer])


def register(cli: typer.Typer) -> None:
    cli.command()(restore)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `wordsight snapshot` wrote.")],
    name: As = None,
    signed_by: SignedBy = None,
    encoder: Encoder = None,
    embed: Embed = False,
    keep_policies: KeepPolicies = False,
    max_part_mib: MaxPart = _DEFAULT_MIB,
    as_json: Json = False,
) -> int:
    """Make a collection from a snapshot and build its index; works on a bare machine.

    A snapshot of another installation is refused unless --signed-by names its signer. Signature, digests and sizes are
    checked before anything is written. Settings that are looser than those of a new collection (consent, engine,
    retention, search log) are tightened and listed, unless --keep-policies keeps them. Images that were erased after
    the snapshot was taken stay away. A restore that is stopped leaves nothing and can be run again; the vectors must be
    of this installation's encoder.
    """
    asked = _Asked(file, name, signed_by, encoder, embed, keep_policies, max_part_mib)
    body = with_catalog(lambda catalog, config: _restore(catalog, config, asked))
    output.result(as_json, body, "\n".join(f"{key:<14}{value}" for key, value in body.items()))
    return 0


async def _restore(catalog: "Catalog", config: "Settings", asked: _Asked) -> dict[str, Any]:
    from indexer.backup import restore
    from indexer.backup.file import BOUNDS, opened
    from indexer.releases.refresh import refresh
    from scenes.bounded_rows import Bounds
    from scenes.signing.signer import Signer

    own = Signer.load(config.home).public_key
    bounds = Bounds(BOUNDS.rows, asked.max_part_mib * _MIB)
    with opened(asked.file, lambda manifest: _judge(manifest, config, own, asked), bounds) as archive:
        manifest = archive.manifest
        settings, changed = _settings(manifest, asked)
        encoder = load_encoder(settings.encoder)
        if not asked.embed:
            restore.check_encoder(manifest, encoder.recipe)
        with output.progress("restoring") as tick:
            done = await restore.restore(catalog, archive, settings, with_vectors=not asked.embed, tick=tick)
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
        "signer": "own" if manifest.signed_by == own else "expected",
        "tightened": changed,
    }


def _judge(manifest: "Manifest", config: "Settings", own: str, asked: _Asked) -> None:
    """Is the signer known, and may the encoder be loaded? Raises `BadInput` (`snapshot_of_another_signer`,
    `snapshot_signer_unknown`, `encoder_not_allowed`)."""
    if asked.signed_by is not None and manifest.signed_by != asked.signed_by.lower():
        raise BadInput(
            "snapshot_of_another_signer",
            f"the snapshot is signed by {manifest.signed_by}, not by {asked.signed_by}",
            fix="compare with what `wordsight snapshot` printed where it was taken",
        )
    if asked.signed_by is None and manifest.signed_by != own:
        raise BadInput(
            "snapshot_signer_unknown",
            f"the snapshot is signed by {manifest.signed_by}, which is not this installation",
            fix="if that is what `wordsight snapshot` printed where it was taken: "
            + asked.accepting(manifest.signed_by),
        )
    config.models.allow_encoder(asked.encoder)
    try:
        config.models.check_encoder(asked.encoder or manifest.collection.encoder)
    except BadInput as error:
        raise BadInput(
            error.code,
            f"the snapshot names the encoder {manifest.collection.encoder!r}, which is not allowed here",
            fix="if you trust it, or its counterpart on this machine: --encoder NAME-OR-FOLDER",
        ) from error


def _settings(manifest: "Manifest", asked: _Asked) -> "tuple[Collection, dict[str, Any]]":
    """The settings to restore, and what of them was tightened."""
    from scenes.collection import Collection, tightened

    told = manifest.collection
    given = {"name": asked.name or told.name, "encoder": asked.encoder or told.encoder}
    settings = checked(Collection, **(told.model_dump() | given))
    return (settings, {}) if asked.keep_policies else tightened(settings)

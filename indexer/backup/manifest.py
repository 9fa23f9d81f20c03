"""What a snapshot file says of itself: signed, and the only thing that is believed before its digests are checked."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenes.collection import Collection
from scenes.errors import BadInput, Corrupt
from scenes.recipe import EncoderRecipe
from scenes.signing.signer import Signer, is_signed

VERSION = 1
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
Noun = Literal["images", "descriptions", "embeddings", "erasures", "outcomes"]
_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]+$")]


class Part(BaseModel):
    """One Parquet file inside: rows of one noun."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z]+/[0-9]{6}\.parquet$")]
    noun: Noun
    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: _Hex


class Manifest(BaseModel):
    """`encoder` is the recipe of the vectors, None where there are none; `generation` and `taken_at` name the moment.

    The parts of images, descriptions and embeddings that have one number hold the same images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["wordsight-snapshot"] = "wordsight-snapshot"
    version: int = VERSION
    collection: Collection
    origin: str
    generation: int
    taken_at: str
    encoder: EncoderRecipe | None
    caption_recipes: dict[str, dict[str, Any]]
    parts: tuple[Part, ...]
    signed_by: _Hex

    def rows(self, noun: Noun) -> int:
        return sum(part.rows for part in self.parts if part.noun == noun)

    def parts_of(self, noun: Noun) -> list[Part]:
        return [part for part in self.parts if part.noun == noun]


class Signature(BaseModel):
    """Over the exact bytes of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Literal["Ed25519"] = "Ed25519"
    public_key: _Hex
    signature: _Hex


def signed(manifest: Manifest, signer: Signer) -> tuple[bytes, bytes]:
    """The bytes of the manifest and those of its signature."""
    data = manifest.model_dump_json(indent=1).encode()
    signature = Signature(public_key=signer.public_key, signature=signer.sign(data))
    return data, signature.model_dump_json(indent=1).encode()


def verified(data: bytes, signature: bytes) -> Manifest:
    """The manifest whose bytes are signed by the key that it names; whose key that is, is for the caller to judge.

    Raises `Corrupt` (`snapshot_signature_wrong`, `snapshot_unreadable`), `BadInput` (`snapshot_version_unknown`).
    """
    try:
        seal = Signature.model_validate_json(signature)
    except ValidationError as error:
        raise Corrupt("snapshot_unreadable", "the snapshot's signature can't be read", fix="copy it again") from error
    if not is_signed(data, seal.signature, seal.public_key):
        raise Corrupt(
            "snapshot_signature_wrong", "the snapshot was altered after it was signed", fix="use another copy"
        )
    manifest = _parsed(data)
    if manifest.signed_by != seal.public_key:
        raise Corrupt("snapshot_signature_wrong", "the snapshot names another signer than signed it")
    return manifest


def _parsed(data: bytes) -> Manifest:
    from json import loads

    try:
        body = loads(data)
        version = body.get("version") if isinstance(body, dict) else None
        if isinstance(version, int) and version != VERSION:
            raise BadInput(
                "snapshot_version_unknown",
                f"the snapshot has format version {version}, this wordsight reads version {VERSION}",
                fix="restore it with the version that wrote it",
            )
        return Manifest.model_validate(body)
    except ValueError as error:  # pydantic's errors are ValueErrors too
        raise Corrupt("snapshot_unreadable", "the snapshot's manifest can't be read") from error

"""Identities: hashes of images, fingerprints of the settings that made a result, random ids of everything else."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, StringConstraints

from scenes.description import Text

HEX_SHA256 = r"^[0-9a-f]{64}$"
ImageId = Annotated[str, StringConstraints(pattern=HEX_SHA256)]
"""Hex SHA-256 of the image's bytes, or a namespaced hash of an external id (see `external_image_id`)."""

_MOST_ID_BYTES = 2_000
"""An index of Postgres takes no longer text."""


def _bounded(external_id: str) -> str:
    if len(external_id.encode()) > _MOST_ID_BYTES:
        raise ValueError(f"an id has at most {_MOST_ID_BYTES} bytes in UTF-8")
    return external_id


ExternalId = Annotated[Text, AfterValidator(_bounded), StringConstraints(min_length=1, max_length=1_000)]
"""What somebody else calls an image."""
_UUID_BYTES = 16
_DRAWN_AT_ONCE = 256
_drawn = bytearray()
_EXTERNAL_NAMESPACE = b"wordsight:external-id:v1\x00"


def image_id(data: bytes) -> ImageId:
    """The image's identity: hex SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()


def external_image_id(external_id: str) -> ImageId:
    """The identity of an image whose bytes were never seen: a hash that can't collide with a content hash."""
    return hashlib.sha256(_EXTERNAL_NAMESPACE + external_id.encode()).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, UTF-8; NaN and infinities are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fingerprint(value: BaseModel | Mapping[str, Any]) -> str:
    """Hex SHA-256 of the canonical JSON of a model or mapping."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)
    return hashlib.sha256(canonical_json(plain)).hexdigest()


def random_id() -> UUID:
    """A random UUID (version 4). To be called from one thread.

    Many are drawn at once: each call of the operating system releases the interpreter and waits to get it back.
    """
    if not _drawn:
        _drawn.extend(os.urandom(_UUID_BYTES * _DRAWN_AT_ONCE))
    taken = bytes(_drawn[-_UUID_BYTES:])
    del _drawn[-_UUID_BYTES:]
    return UUID(bytes=taken, version=4)


os.register_at_fork(after_in_child=_drawn.clear)

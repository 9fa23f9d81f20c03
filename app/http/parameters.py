"""Parameters that many endpoints have. What Postgres could not store is refused here."""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator

from scenes.catalog.keys import KEY_ID
from scenes.collection import COLLECTION_NAME
from scenes.description import storable_json
from scenes.identity import HEX_SHA256

CollectionPath = Annotated[
    str,
    Path(pattern=COLLECTION_NAME, description="Name of the collection.", examples=["photos"]),
]
ImageIdPath = Annotated[str, Path(pattern=HEX_SHA256, description="Hex SHA-256 that names the image.")]
KeyIdPath = Annotated[str, Path(pattern=KEY_ID, description="The key's id, not the key.")]
After = Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1_000)]
JsonObject = Annotated[dict[str, Any], AfterValidator(storable_json)]
"""A JSON object without NUL characters, lone surrogates, NaN or infinities."""

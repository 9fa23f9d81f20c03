"""What many endpoints take: parameters and JSON bodies. What Postgres could not store is refused here."""

from typing import Annotated, Any, TypeVar

from fastapi import Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ValidationError

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


_Model = TypeVar("_Model", bound=BaseModel)
_JSON = "application/json"


async def read_json(request: Request, model: type[_Model]) -> _Model:
    """The body of a request as a model; faster than FastAPI's own way, which parses it twice.

    Raises `RequestValidationError` where it is not JSON, or not this model's.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise RequestValidationError([{"loc": ("header", "content-type"), "msg": f"Input should be {_JSON}"}])
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from error


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that `read_json` reads; another endpoint has to name the model as well."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}

"""One description made elsewhere, as a line of JSON: in a file, or in the body of a request."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from scenes.catalog.publishing import Publication
from scenes.description import BoundedDescription, Paragraph, SceneDescription, Text, storable_json
from scenes.identity import ExternalId, ImageId, external_image_id, fingerprint

MAX_LINE_BYTES = 1_000_000


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


class Line(BaseModel):
    """One line: an id with a plain text or a full description."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[ExternalId, BeforeValidator(_stripped)]
    text: Annotated[Paragraph, Field(min_length=1)] | None = None
    description: BoundedDescription | None = None
    sha256: ImageId | None = None
    uri: Annotated[Text, StringConstraints(min_length=1, max_length=4_000)] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) == (self.description is None):
            raise ValueError("a line needs either 'text' or 'description'")
        return self

    def publication(self) -> Publication:
        """The line as the catalog takes it."""
        description = self.description or SceneDescription.from_text(self.text or "")
        return Publication(
            image_id=self.sha256 or external_image_id(self.id),
            id_from="sha256" if self.sha256 else "external",
            description=description,
            source="import",
            variant=f"import:{fingerprint(description)}",
            external_id=self.id,
            uris=(self.uri,) if self.uri else (),
            metadata=self.metadata,
        )


@dataclass(frozen=True, slots=True)
class LineError:
    """Why a line was rejected; lines are counted from 1."""

    line: int
    message: str


def parsed(number: int, raw: bytes) -> Publication | LineError:
    """A line as the catalog takes it, or why it can't be used."""
    try:
        body = storable_json(json.loads(raw, parse_constant=_no_constant))
        return Line.model_validate(body).publication()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return LineError(number, f"{where}: {first['msg']}" if where else first["msg"])
    except (ValueError, RecursionError) as error:
        return LineError(number, f"not a JSON object: {error}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")

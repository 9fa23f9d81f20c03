"""SceneDescription: all that is kept of an image, in words."""

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

SCHEMA_VERSION = "1"
MAX_LEVELS = 64
MAX_BYTES = 200_000
"""Of a description as JSON: so many words fit into Postgres's index of words, whatever they are."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """Text that any store can keep. Raises `ValueError` for a NUL character or half a surrogate pair."""
    if "\x00" in text or _SURROGATE.search(text):
        raise ValueError("text must not hold NUL characters or lone surrogates")
    return text


def storable_json(value: Any, levels: int = MAX_LEVELS) -> Any:
    """A JSON value that any store can keep.

    Raises `ValueError` as `storable` does, for NaN and infinities, and for more levels of objects and lists than these.
    """
    if levels < 0:
        raise ValueError(f"JSON may be nested {MAX_LEVELS} levels deep")
    if isinstance(value, str):
        storable(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers must be finite")
    elif isinstance(value, dict):
        for key, part in value.items():
            storable(str(key))
            storable_json(part, levels - 1)
    elif isinstance(value, list | tuple):
        for part in value:
            storable_json(part, levels - 1)
    return value


Text = Annotated[str, AfterValidator(storable)]
_STORED = AfterValidator(storable)
"""Last: a constraint that follows a function is checked of the text before it is stripped."""
Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), _STORED]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000), _STORED]
Paragraph = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000), _STORED]
Phrases = Annotated[tuple[Phrase, ...], Field(max_length=64)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Position = Literal["top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Setting(_Part):
    """Where and when the scene takes place."""

    place: Phrase | None = Field(None, description="Where it is, such as 'a narrow kitchen' or 'a beach'.")
    time_of_day: Phrase | None = Field(None, description="Such as 'dusk', when it can be told.")
    weather: Phrase | None = Field(None, description="Such as 'light rain', when it can be seen.")
    lighting: Phrase | None = Field(None, description="Such as 'soft window light'.")


class Box(_Part):
    """A box in relative coordinates: (0, 0) is the top left of the upright image, (1, 1) the bottom right."""

    x0: Fraction
    y0: Fraction
    x1: Fraction
    y1: Fraction

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise ValueError("a box needs x0 < x1 and y0 < y1")
        return self


class SceneObject(_Part):
    """One kind of thing in the scene."""

    name: Phrase = Field(description="What it is, in the singular: 'dog'.")
    count: Count | None = Field(None, description="How many; null when they can't be counted.")
    attributes: Phrases = Field((), description="What it is like: 'wooden', 'small', 'striped'.")
    colour: Phrase | None = Field(None, description="Its main colour in plain words.")
    position: Position | None = Field(None, description="Where in the frame.")
    box: Box | None = Field(None, description="Its bounding box, where known.")


class Relation(_Part):
    """How two things stand to each other: ('cat', 'under', 'table')."""

    subject: Phrase
    predicate: Phrase
    object: Phrase


class People(_Part):
    """One group of people: what can be seen of them, never who they are."""

    count: Count | None = Field(None, description="How many; null when they can't be counted.")
    role: Phrase | None = Field(None, description="Such as 'cyclist' or 'child'.")
    clothing: Phrases = Field((), description="What they wear.")
    doing: Phrase | None = Field(None, description="What they do.")


class SceneDescription(_Part):
    """A structured description of one image. `detail` alone is enough; every other field may be missing."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="SceneDescription")

    summary: Sentence = Field("", description="The whole scene in one sentence.")
    detail: Paragraph = Field("", description="A detailed paragraph of everything that can be seen.")
    setting: Setting = Field(default_factory=Setting)
    objects: Annotated[tuple[SceneObject, ...], Field(max_length=64)] = ()
    relations: Annotated[tuple[Relation, ...], Field(max_length=64)] = ()
    actions: Phrases = Field((), description="What happens, each as a short phrase.")
    people: Annotated[tuple[People, ...], Field(max_length=32)] = ()
    visible_text: Phrases = Field((), description="Text that can be read in the image, verbatim.")
    style: Phrase | None = Field(None, description="Such as 'documentary photograph'.")
    medium: Phrase | None = Field(None, description="Such as 'photograph', 'oil painting', 'screenshot'.")
    absent: Phrases = Field((), description="What one would expect here and is notably missing.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.summary or self.detail or self.objects):
            raise ValueError("a description needs a summary, a detail or at least one object")
        return self

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A plain caption as a description with only a detailed paragraph."""
        return cls(detail=text)


def bounded(description: SceneDescription) -> SceneDescription:
    """A description that every index can hold. Raises `ValueError`."""
    if len(description.model_dump_json(exclude_defaults=True).encode()) > MAX_BYTES:
        raise ValueError(f"a description may have {MAX_BYTES} bytes as JSON")
    return description


BoundedDescription = Annotated[SceneDescription, AfterValidator(bounded)]


def json_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of `SceneDescription`."""
    body = SceneDescription.model_json_schema()
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:wordsight:scene-description:{SCHEMA_VERSION}",
    }
    return head | body

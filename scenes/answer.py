"""Query, Match, Evidence, Answer: what is asked and what comes back, on the command line as over REST."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from scenes.description import SceneDescription, storable
from scenes.fields import FIELDS
from scenes.identity import ImageId

MAX_QUERY_CHARACTERS = 10_000
MAX_K = 1_000

Source = Literal["machine", "import", "person"]


def _stripped(text: str) -> str:
    """The length is that of what was sent, as the schema says; blanks around it are then dropped."""
    if not (words := text.strip()):
        raise ValueError("a query must not be blank")
    return words


QueryText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_QUERY_CHARACTERS),
    AfterValidator(storable),
    AfterValidator(_stripped),
]


_FieldName = Annotated[str, StringConstraints(max_length=100), Field(description=f"One of {', '.join(FIELDS)}.")]
FieldNames = Annotated[tuple[_FieldName, ...], Field(min_length=1, max_length=len(FIELDS))]
"""Fields of descriptions; `scenes.fields.fields_of` refuses all others, telling which there are."""
_EXAMPLES: list[JsonValue] = [
    {"query": "a red bus in the snow", "k": 5},
    {"query": "stop sign", "fields": ["visible_text"]},
    {"query": "a dog under a table", "fields": ["objects", "relations"], "filter": {"metadata.year": {"gte": 2020}}},
]


class Query(BaseModel):
    """One question to a collection."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": _EXAMPLES})

    query: QueryText = Field(description="What the image shows, in words.", examples=["a red bus in the snow"])
    k: Annotated[int, Field(ge=1, le=MAX_K)] = Field(10, description="How many images at most.")
    filter: dict[str, Any] | None = Field(
        None, description="Conditions on metadata.* and description.* fields: a value, in, not, gt, gte, lt, lte, says."
    )
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = Field(
        None, description="next_cursor of the page before; the rest of the question stays the same."
    )
    fields: FieldNames | None = Field(
        None,
        description="Search by these fields of descriptions alone; an image that says nothing there is no result.",
    )


class Evidence(BaseModel):
    """Why an image matched: a phrase of its description and its share of the score by words.

    Each word of the query finds its best match among the words of the description; what the words of this phrase won of
    it, 0…1, is its share. The shares of an image add up to 1 at most. Only its explanation tells them: they would cost
    a search a sixth of its time, so they are null in its answer; null also where words have no vectors.

    A search of fields answers for a description that is all text by the structure that is read from the text: evidence
    then points into that structure, which the description itself does not have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(description="JSON Pointer into the description.", examples=["/objects/0"])
    phrase: str
    share: float | None = None


class RecipeName(BaseModel):
    """Which captioner wrote a machine description."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    engine: str
    model: str
    prompt: str


class Match(BaseModel):
    """One image of the answer. `score` is a similarity: higher is better, not a probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_id: ImageId
    external_id: str | None = None
    uri: str | None = None
    score: float
    probability: float | None = None
    description: SceneDescription
    metadata: dict[str, Any] = Field(default_factory=dict)
    source: Source
    recipe: RecipeName | None = Field(None, description="Present where source is 'machine'.")
    evidence: tuple[Evidence, ...] | None = None


class Answer(BaseModel):
    """The images found, best first.

    `matches` is "none" where there are no results and where nothing like what was asked for is there: then the results,
    if any, are merely the nearest. That is told where the best score is below a bound that few searches fail whose
    image is there, and it does not stand clear of the others either; an image that is somewhat like it passes. Not told
    of searches of fields, nor where a re-ranker orders.

    `exists` is how many images pass the filter, null where not counted; of a search of fields, how many of them say
    something there, null where not all were looked at.

    `reranked` is null unless the server has a re-ranker: so many of the best candidates it has put in its order, before
    the others in their own. The score of one that it has put is between 2 and 4, of all others at most about 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    results: tuple[Match, ...]
    matches: Literal["some", "none"]
    exists: int | None = None
    reranked: int | None = None
    query_truncated: bool = False
    release: str | None = Field(description="The index release that answered; null before the first one.")
    search_id: UUID | None = Field(description="The stored search; null where nothing is stored.")
    next_cursor: str | None = Field(None, description="Ask for the next page with it; null after the last one.")
    pending: int = Field(0, ge=0, description="How many images of the collection are stored but not searchable yet.")

"""Collection: a named set of images with its retention, its privacy policy and its recipes."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict, StringConstraints

from scenes.description import Text
from scenes.recipe import EngineName

COLLECTION_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
CollectionName = Annotated[str, StringConstraints(pattern=COLLECTION_NAME)]
ModelName = Annotated[Text, StringConstraints(min_length=1, max_length=1_000)]
"""A model of a hub, or the path of its folder."""
SearchLog = Literal["off", "results", "keyed-hash", "full"]


def _duration(value: Any) -> Any:
    if not isinstance(value, str | timedelta):
        raise ValueError("a duration is text such as 'P30D'")  # noqa: TRY004 - pydantic reads ValueError
    return value


def _as_iso(value: timedelta) -> str:
    days, seconds = value.days, value.seconds
    return f"P{days}D" + (f"T{seconds}S" if seconds else "")


Expiry = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_as_iso, when_used="json"),
    Field(
        ge=timedelta(minutes=1), le=timedelta(days=3_650), json_schema_extra={"type": "string", "format": "duration"}
    ),
]


_RETAINED = ("discard", "keep")
_LOGGED = ("off", "results", "keyed-hash", "full")
"""From the strictest to the loosest."""


class Collection(BaseModel):
    """What the owner of a collection decided; counts and releases are asked of the catalog."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: CollectionName
    retention: Literal["discard", "keep"] = Field(
        "discard", description="discard: no byte of an image outlives its description."
    )
    search_log: SearchLog = Field("results", description="What is stored of a search; 'results' keeps no query text.")
    search_log_expiry: Expiry = Field(timedelta(days=30), description="When a stored search is deleted.")
    engine: EngineName | None = Field(None, description="The captioning engine; null until one is chosen.")
    engine_model: ModelName | None = Field(None, description="The engine's model; null for the engine's default.")
    third_party_consent: Annotated[bool, Strict()] = Field(
        False, description="May pixels be sent to another party (the openai engine)?"
    )
    encoder: ModelName | None = Field(None, description="Encoder model name or folder; null for the shipped one.")


def tightened(settings: Collection) -> tuple[Collection, dict[str, dict[str, Any]]]:
    """Settings that are nowhere looser than those of a new collection; and what differs, {name: {"from", "to"}}.

    Looser is: more of a search kept, or longer; pixels kept, or sent to others; an engine or a model chosen already.
    The encoder stays.
    """
    new = Collection(name=settings.name)
    after = settings.model_copy(
        update={
            "retention": min(settings.retention, new.retention, key=_RETAINED.index),
            "search_log": min(settings.search_log, new.search_log, key=_LOGGED.index),
            "search_log_expiry": min(settings.search_log_expiry, new.search_log_expiry),
            "engine": new.engine,
            "engine_model": new.engine_model,
            "third_party_consent": settings.third_party_consent and new.third_party_consent,
        }
    )
    told, kept = settings.model_dump(mode="json"), after.model_dump(mode="json")
    return after, {name: {"from": told[name], "to": kept[name]} for name in told if told[name] != kept[name]}

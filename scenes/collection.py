"""Collection: a named set of images with its retention, its privacy policy and its recipes."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from scenes.recipe import EngineName

CollectionName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
SearchLog = Literal["off", "results", "keyed-hash", "full"]


class Collection(BaseModel):
    """What the owner of a collection decided; counts and releases are asked of the catalog."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: CollectionName
    retention: Literal["discard", "keep"] = Field(
        "discard", description="discard: no byte of an image outlives its description."
    )
    search_log: SearchLog = Field("results", description="What is stored of a search; 'results' keeps no query text.")
    search_log_expiry: timedelta = Field(timedelta(days=30), description="When a stored search is deleted.")
    engine: EngineName | None = Field(None, description="The captioning engine; null until one is chosen.")
    engine_model: str | None = Field(None, description="The engine's model; null for the engine's default.")
    third_party_consent: bool = Field(False, description="May pixels be sent to another party (the openai engine)?")
    encoder: str | None = Field(None, description="Encoder model name or folder; null for the shipped one.")

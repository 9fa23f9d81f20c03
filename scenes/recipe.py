"""Recipes: the frozen settings that change results. Every stored result names its recipe's fingerprint."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from scenes.description import SCHEMA_VERSION
from scenes.identity import fingerprint

EngineName = Literal["basic", "vllm", "openai"]


class _Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def fingerprint(self) -> str:
        """Hex SHA-256 over the canonical JSON of every setting."""
        return fingerprint(self)


class Sampling(BaseModel):
    """How an engine samples its first attempt; later attempts escalate from here by a fixed rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, le=32_768)] = 1_500
    seed: int = 0


class Verification(BaseModel):
    """The second look at each stated object: off, or what becomes of a claim whose support is under the floor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["off", "mark", "drop"] = "off"
    floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class CaptionRecipe(_Recipe):
    """What turned pixels into words."""

    engine: EngineName
    model: str = Field(description="Model name or folder as the engine knows it.")
    revision: str | None = Field(None, description="Model revision or weights digest.")
    prompt: str = Field(description="Name and version of the prompt, such as 'scene-1'.")
    schema_version: str = SCHEMA_VERSION
    sampling: Sampling = Sampling()
    max_side_px: Annotated[int, Field(ge=32)] = 1_280
    options: dict[str, Any] = Field(default_factory=dict, description="Engine options that change results.")
    verification: Verification = Verification()
    near_duplicates: str | None = Field(None, description="How images that look the same share a description.")
    exif: tuple[str, ...] = Field((), description="Names of the EXIF tags that are kept, such as 'DateTimeOriginal'.")
    redaction: str | None = Field(None, description="Name and version of the redaction policy, such as 'personal-1'.")

    def fingerprint(self) -> str:
        """Hex SHA-256 over every setting; those added later count only where they are set: older recipes stay same."""
        later = {name: getattr(self, name) for name in ("near_duplicates", "exif")}
        return fingerprint(self.model_dump(mode="json", exclude={name for name, value in later.items() if not value}))


class EncoderRecipe(_Recipe):
    """What turned words into vectors."""

    model: str = Field(description="sentence-transformers name or folder name.")
    weights_digest: str = Field(description="Hex SHA-256 of the weights.")
    wording: str = Field(description="Name of the wording (see scenes.wording).")
    views: Annotated[int, Field(ge=1, le=64)] = 1
    pooling: str = "model"
    dimensions: Annotated[int, Field(ge=1)]
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    max_tokens: Annotated[int, Field(ge=1)]
    word_dimensions: Annotated[int, Field(ge=0)] = Field(0, description="Of word vectors; 0 where there are none.")
    word_head: str = Field("", description="Hex SHA-256 of the projection of words; empty where there is none.")
    query_prompt: str = ""
    document_prompt: str = ""


class IndexRecipe(_Recipe):
    """How vectors become a searchable index. Scores are inner products of unit vectors: higher is better."""

    kind: str = Field("exact", description="Such as 'exact', 'ivf-sq8'.")
    metric: Literal["inner-product"] = "inner-product"
    parameters: dict[str, Any] = Field(default_factory=dict)

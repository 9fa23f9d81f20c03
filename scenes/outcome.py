"""The three outcomes of captioning one image: Described, Refused (for good) or Failed (to be tried again)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scenes.description import Fraction, SceneDescription
from scenes.identity import ImageId


class RefusalReason(StrEnum):
    """Why an image will never be described: trying again gives the same answer."""

    NOT_AN_IMAGE = "not_an_image"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"


class FailureReason(StrEnum):
    """Why an image was not described this time: trying again may help."""

    READ_ERROR = "read_error"
    ENGINE_ERROR = "engine_error"
    TIMEOUT = "timeout"
    REPLY_CUT = "reply_cut"
    REPLY_INVALID = "reply_invalid"
    REPLY_REPEATS = "reply_repeats"
    REPLY_BOILERPLATE = "reply_boilerplate"
    CLONE = "clone"
    UPLOAD_LOST = "upload_lost"


class Usage(BaseModel):
    """What one outcome cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens_in: Annotated[int, Field(ge=0)] = 0
    tokens_out: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=0.0)] = 0.0
    attempts: Annotated[int, Field(ge=0)] = 1


class _Outcome(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image_id: ImageId
    usage: Usage = Usage()


class Described(_Outcome):
    """The image is now words. `support` maps a JSON Pointer into the description to a support value in 0…1."""

    kind: Literal["described"] = "described"
    description: SceneDescription
    support: dict[str, Fraction] = Field(default_factory=dict)
    exif: dict[str, str] = Field(default_factory=dict, description="The EXIF tags that the recipe keeps.")
    notes: tuple[str, ...] = Field((), description="Such as 'first frame of an animation'.")


class Refused(_Outcome):
    """The image will never be described."""

    kind: Literal["refused"] = "refused"
    reason: RefusalReason
    detail: str = ""


class Failed(_Outcome):
    """The image may be described another time; after the last attempt this is a dead letter."""

    kind: Literal["failed"] = "failed"
    reason: FailureReason
    detail: str = ""
    last_reply: str | None = None


Outcome = Annotated[Described | Refused | Failed, Field(discriminator="kind")]

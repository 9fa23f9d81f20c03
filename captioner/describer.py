"""What a captioning engine is: pictures in, raw replies out. Reply checks and attempts are common to all engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from scenes.identity import ImageId
from scenes.outcome import FailureReason
from scenes.recipe import CaptionRecipe, Sampling


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: RGB, upright, downscaled to the recipe's longest side; no EXIF, no file name."""

    image_id: ImageId
    pixels: Image.Image


@dataclass(frozen=True, slots=True)
class Request:
    """One picture to describe, with this attempt's sampling."""

    picture: Picture
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine said, unchecked. `finish_reason` 'stop' means that it ended by itself."""

    text: str
    finish_reason: str
    tokens_in: int
    tokens_out: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EngineFault:
    """The engine gave no reply for this picture."""

    reason: FailureReason
    detail: str


class Describer(Protocol):
    """A captioning engine. One bad picture costs its own reply, never another's."""

    @property
    def recipe(self) -> CaptionRecipe: ...

    def describe(self, requests: Sequence[Request]) -> list[Reply | EngineFault]:
        """One reply or fault a request, in order."""
        ...

    def close(self) -> None:
        """Free what the engine holds; the describer is of no use afterwards."""
        ...

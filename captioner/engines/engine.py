"""What a captioning engine is: pictures in, raw replies out, one by one and in any order.

Reply checks, attempts and the other gates are common to all engines and know nothing of any.
"""

from concurrent.futures import Future
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
    """One picture to describe with this attempt's sampling, or, with a `question`, to answer yes or no about."""

    picture: Picture
    sampling: Sampling
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine said, unchecked. `finish_reason` 'stop' means that it ended by itself.

    `yes` is the probability of 'yes' against 'no' as an answer to a question; None where the engine gave no
    log-probabilities of either.
    """

    text: str
    finish_reason: str
    tokens_in: int
    tokens_out: int
    seconds: float
    yes: float | None = None


@dataclass(frozen=True, slots=True)
class EngineFault:
    """The engine gave no reply for this picture."""

    reason: FailureReason
    detail: str


Answer = Reply | EngineFault


class Describer(Protocol):
    """A captioning engine. One bad picture costs its own reply, never another's."""

    @property
    def recipe(self) -> CaptionRecipe: ...

    @property
    def slots(self) -> int:
        """How many requests keep the engine busy; the pipeline never has more of them open."""
        ...

    @property
    def can_verify(self) -> bool:
        """Does the engine answer questions about a picture?"""
        ...

    def submit(self, request: Request) -> "Future[Answer]":
        """Ask for one reply. The future always ends with an answer, never with an exception of the engine."""
        ...

    def close(self) -> None:
        """Free what the engine holds, leaving open requests unanswered; the describer is of no use afterwards."""
        ...

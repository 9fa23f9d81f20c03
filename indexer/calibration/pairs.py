"""Training pairs: what people ask and what describes the image, text only.

A line is `{"query", "description"}` (description: a text or a structured description), or `{"image", "captions"}`
with several captions of one image: one of them asks, the others together describe.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from indexer.evaluation.dataset import json_lines
from scenes.description import SceneDescription
from scenes.errors import BadInput
from scenes.wording import whole_text

_SIZES = (2, 3, 4, 4)
"""How many captions describe: mostly all others, sometimes fewer, as short descriptions exist too."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image: `asking` texts may be queries; what describes is `describing`, or the other captions."""

    image: str
    asking: tuple[str, ...]
    describing: str | None

    def drawn(self, rng: random.Random) -> tuple[str, str]:
        """A query and a description of the image."""
        place = rng.randrange(len(self.asking))
        if self.describing is not None:
            return self.asking[place], self.describing
        others = [caption for at, caption in enumerate(self.asking) if at != place]
        rng.shuffle(others)
        return self.asking[place], joined(others[: rng.choice(_SIZES)])

    def fixed(self) -> tuple[str, str]:
        """The query and the description that this image is measured by."""
        return self.asking[0], self.describing if self.describing is not None else joined(self.asking[1:])


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    query: str | None = Field(None, min_length=1)
    description: str | SceneDescription | None = None
    image: str | None = None
    captions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> "_Line":
        if (self.query is None or not self.description) and len([one for one in self.captions if one.strip()]) < 2:  # noqa: PLR2004
            raise ValueError("wanted `query` and `description`, or `captions` with at least two texts")
        return self


def read_pairs(path: Path) -> list[Example]:
    """Read a file of training pairs. Raises `BadInput` (`dataset_invalid`) with file and line."""
    examples = []
    for place, body in json_lines(path):
        try:
            examples.append(_example(place, _Line.model_validate(body)))
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            raise BadInput("dataset_invalid", f"{place}: {message}") from error
    if not examples:
        raise BadInput("dataset_invalid", f"{path} holds no training pair")
    return examples


def without(examples: Sequence[Example], texts: set[str], images: set[str]) -> tuple[list[Example], int]:
    """Examples less the captions in `texts` (compared without case and outer space), and how many those were.

    Raises `BadInput` (`training_overlaps`) where an image of the examples is one of `images`.
    """
    shared = {example.image for example in examples} & images
    if shared:
        raise BadInput("training_overlaps", f"{len(shared)} training images are also evaluated, such as {min(shared)}")
    refused = {_plain(text) for text in texts}
    kept, dropped = [], 0
    for example in examples:
        asking = tuple(text for text in example.asking if _plain(text) not in refused)
        dropped += len(example.asking) - len(asking)
        if len(asking) >= (1 if example.describing is not None else 2):
            kept.append(Example(example.image, asking, example.describing))
    return kept, dropped


def joined(captions: Sequence[str]) -> str:
    """Captions as one text, each a sentence."""
    return " ".join(f"{caption.rstrip(' .')}." for caption in captions)


def _example(place: str, line: _Line) -> Example:
    if line.query is None or line.description is None:
        return Example(line.image or place, tuple(one for one in line.captions if one.strip()), None)
    said = line.description if isinstance(line.description, str) else whole_text(line.description)
    return Example(line.image or place, (line.query,), said)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())

"""P(relevant): what a score is worth, fitted on images whose right answers are known; and below which nothing matches.

A logistic model (Platt 1999) of two things: the score itself and how far it stands from its best rival in the same
answer. The second tells a clear winner from one of many alike.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from scenes.errors import Corrupt

MANIFEST = "calibration.json"
"""The manifest of a calibration, beside the encoder's weights."""


class Relevance(BaseModel):
    """The chance that a result is the image meant, where one image is meant: among many alike each has little.

    Where the best score of an answer is below `floor`, nothing like what was asked for is there; None says nothing. It
    is the score of one image by itself, as a far-off query often has one best result that stands clear of all others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: float
    score: float
    gap: float
    floor: float | None = None

    def matches(self, best: float) -> bool:
        """May an image of this score be what was asked for?"""
        return self.floor is None or best >= self.floor

    def probabilities(self, scores: Sequence[float]) -> list[float]:
        """P(relevant), 0…1, of each result of one answer, best first."""
        odds = [
            self.intercept + self.score * score + self.gap * gap
            for score, gap in zip(scores, gaps(scores), strict=True)
        ]
        return [1 / (1 + math.exp(-max(-50.0, min(50.0, one)))) for one in odds]


def gaps(scores: Sequence[float]) -> list[float]:
    """How far each result of one answer, best first, stands above its best rival (below it: negative).

    A lone result has no rival and stands 0 above it.
    """
    if len(scores) < 2:  # noqa: PLR2004 - nobody to compare with
        return [0.0] * len(scores)
    return [scores[0] - scores[1], *(score - scores[0] for score in scores[1:])]


def read_relevance(folder: Path | None) -> Relevance | None:
    """What the calibration of an encoder's folder found; None where it was not calibrated. Raises `Corrupt`."""
    if folder is None or not (folder / MANIFEST).is_file():
        return None
    try:
        fitted = json.loads((folder / MANIFEST).read_text()).get("relevance")
        return None if fitted is None else Relevance.model_validate(fitted)
    except (OSError, ValueError, ValidationError) as error:
        raise Corrupt("calibration_unreadable", f"{folder / MANIFEST} can't be read: {error}") from error

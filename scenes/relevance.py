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

_AS_LIKELY_AS_NOT = 0.5
MANIFEST = "calibration.json"
"""The manifest of a calibration, beside the encoder's weights."""


class Relevance(BaseModel):
    """The chance that a result is the image meant, where one image is meant: among many alike each has little.

    `floor` is the best score below which an image is seldom what was asked for; None where that is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: float
    score: float
    gap: float
    floor: float | None = None

    def matches(self, scores: Sequence[float]) -> bool:
        """May the first of these, best first, be what was asked for? Not where nothing speaks for it.

        A low score alone does not say so: short descriptions score low, but the right one stands clear of the others.
        Nor does a small chance alone: among many alike each has little. A lone result is not judged: what has no rival
        can't stand clear.
        """
        if self.floor is None or len(scores) == 1 or scores[0] >= self.floor:
            return True
        return self.probabilities(scores)[0] >= _AS_LIKELY_AS_NOT

    def probabilities(self, scores: Sequence[float]) -> list[float]:
        """P(relevant), 0…1, of each result of one answer, best first."""
        intercept, by_score, by_gap = self.intercept, self.score, self.gap
        both = zip(scores, gaps(scores), strict=True)
        return [0.5 + 0.5 * math.tanh((intercept + by_score * score + by_gap * gap) / 2) for score, gap in both]


def gaps(scores: Sequence[float]) -> list[float]:
    """How far each result of one answer, best first, stands above its best rival (below it: negative).

    A lone result has no rival and stands 0 above it.
    """
    if len(scores) < 2:  # noqa: PLR2004 - nobody to compare with
        return [0.0] * len(scores)
    best, rival = scores[0], scores[1]
    return [best - rival, *[score - best for score in scores[1:]]]


def read_relevance(folder: Path | None) -> Relevance | None:
    """What the calibration of an encoder's folder found; None where it was not calibrated. Raises `Corrupt`."""
    if folder is None or not (folder / MANIFEST).is_file():
        return None
    try:
        fitted = json.loads((folder / MANIFEST).read_text()).get("relevance")
        return None if fitted is None else Relevance.model_validate(fitted)
    except (OSError, ValueError, ValidationError) as error:
        raise Corrupt("calibration_unreadable", f"{folder / MANIFEST} can't be read: {error}") from error

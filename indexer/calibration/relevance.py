"""Fits P(relevant) and the floor on held-out images: each of their captions asks once, its other captions describe."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.pairs import Example, joined
from indexer.encoding.encoder import Encoder
from indexer.evaluation.gallery import Gallery
from indexer.retrieval.ranking import Ranking
from scenes.description import SceneDescription
from scenes.relevance import Relevance, gaps

RESULTS = 10
FALSE_ALARMS = 0.05
"""Of the held-out queries, whose image is there, so many have a best score below the floor."""
_ROUNDS = 50
_RIDGE = 1e-3


def fit_relevance(examples: Sequence[Example], encoder: Encoder, ranking: Ranking) -> Relevance:
    """Logistic regression by iteratively reweighted least squares over the ten best results of every query."""
    answers = list(_answers(examples, encoder, ranking))
    features = np.array(
        [(1.0, score, gap) for scores, _ in answers for score, gap in zip(scores, gaps(scores), strict=True)]
    )
    right = np.concatenate([relevant for _, relevant in answers]).astype(np.float64)
    intercept, score, gap = (round(float(one), 6) for one in logistic(features, right))
    floor = round(float(np.quantile([scores[0] for scores, _ in answers], FALSE_ALARMS)), 6)
    return Relevance(intercept=intercept, score=score, gap=gap, floor=floor)


def logistic(features: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights float64 (d,) of a logistic model; features (n, d), right (n,) in 0…1."""
    weights = np.zeros(features.shape[1])
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -50, 50)))
        slope = features.T @ (right - chance) - _RIDGE * weights
        bend = (features * (chance * (1 - chance))[:, None]).T @ features + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights += step
        if np.max(np.abs(step)) < 1e-9:  # noqa: PLR2004 - converged
            break
    return weights


def _answers(
    examples: Sequence[Example], encoder: Encoder, ranking: Ranking
) -> Iterator[tuple[list[float], NDArray[np.bool_]]]:
    """(scores, which of them is right) of each query's best results."""
    most = max(len(example.asking) for example in examples)
    for place in range(most):
        asked = [example for example in examples if place < len(example.asking)]
        gallery = Gallery.of([_described(example, place) for example in asked], encoder, ranking)
        for row, found in enumerate(gallery.search([example.asking[place] for example in asked], RESULTS)):
            yield found.scores.tolist(), found.rows == row


def _described(example: Example, place: int) -> SceneDescription:
    others = [text for at, text in enumerate(example.asking) if at != place]
    return SceneDescription.from_text(example.describing if example.describing is not None else joined(others))

"""What P(relevant) is worth on the development sets: calibration error, reliability, and saying that nothing fits."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.pairs import joined
from indexer.calibration.relevance import logistic
from indexer.encoding.encoder import Encoder
from indexer.evaluation.dataset import Dataset
from indexer.evaluation.gallery import Gallery
from indexer.evaluation.reliability import Reliability, recognised, reliability
from indexer.retrieval.ranking import Ranking
from scenes.description import SceneDescription
from scenes.relevance import Relevance, gaps

FOUND = 50
ALARMS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
RESULTS = 10
FAR_OFF = Path(__file__).with_name("far_off_queries.txt")
"""Queries about things that photographs of everyday scenes do not show, written for this."""


def probability(dataset: Dataset, encoder: Encoder, ranking: Ranking, shipped: Relevance) -> dict[str, Any]:
    """Of the first result of each query: with the shipped calibration, and fitted on one half of the images for the
    other. Of queries whose image is taken away: how many the shipped probability recognises, by false alarms."""
    places = {name: place for place, name in enumerate(dataset.document_ids)}
    images = np.array([places[min(dataset.relevant[query])] for query in dataset.query_ids])
    gallery = Gallery.of(dataset.documents, encoder, ranking)
    found = gallery.search(dataset.queries, FOUND)
    answers = [(one.scores.astype(np.float64), one.rows == image) for one, image in zip(found, images, strict=True)]
    right = np.array([hits[0] for _, hits in answers])
    elsewhere = np.array([_first(shipped, scores) for scores, _ in answers])
    halved = np.empty(len(answers))
    halves = []
    for half in (images % 2 == 0, images % 2 == 1):
        fitted = _fitted([answer for answer, mine in zip(answers, ~half, strict=True) if mine])
        halved[half] = [_first(fitted, scores) for (scores, _), mine in zip(answers, half, strict=True) if mine]
        halves.append(_shown(reliability(halved[half], right[half])))
    removed = [scores[~hits] for scores, hits in answers]
    gone = np.array([_first(shipped, scores) for scores in removed])
    far = [one.scores.astype(np.float64) for one in gallery.search(FAR_OFF.read_text().splitlines(), FOUND)]
    return {
        "trained elsewhere": _shown(reliability(elsewhere, right)),
        "fitted on the other half": _shown(reliability(halved, right)),
        "halves": halves,
        "nothing": {"chance": _curve(elsewhere, gone), "score": _curve(_best(s for s, _ in answers), _best(removed))},
        "said": {
            "there": _said(shipped, [scores for scores, _ in answers]),
            "removed": _said(shipped, removed),
            "far off": _said(shipped, far),
        },
    }


def described_by_people(dataset: Dataset, encoder: Encoder, ranking: Ranking) -> dict[str, Any]:
    """The same curve where each image is described by its other captions: what better descriptions could reach."""
    captions: dict[str, list[str]] = {}
    for query_id, query in zip(dataset.query_ids, dataset.queries, strict=True):
        captions.setdefault(min(dataset.relevant[query_id]), []).append(query)
    right, there, removed = [], [], []
    for place in range(min(map(len, captions.values()))):
        others = [joined([*texts[:place], *texts[place + 1 :]]) for texts in captions.values()]
        gallery = Gallery.of([SceneDescription.from_text(text) for text in others], encoder, ranking)
        for row, found in enumerate(gallery.search([texts[place] for texts in captions.values()], FOUND)):
            right.append(found.rows[0] == row)
            there.append(found.scores.astype(np.float64))
            removed.append(found.scores[found.rows != row].astype(np.float64))
    return {"recall@1": round(float(np.mean(right)), 4), "nothing": {"score": _curve(_best(there), _best(removed))}}


def _best(answers: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array([scores[0] for scores in answers])


def _curve(present: NDArray[np.float64], removed: NDArray[np.float64]) -> dict[str, float]:
    """Which share is told, by false alarms."""
    return dict(zip(map(str, ALARMS), recognised(present, removed, np.array(ALARMS)).round(4).tolist(), strict=True))


def _said(relevance: Relevance, answers: Sequence[NDArray[np.float64]]) -> float:
    """Of which share of these searches the answer says that nothing matches."""
    return round(float(np.mean([not relevance.matches(scores[:RESULTS].tolist()) for scores in answers])), 4)


def _first(relevance: Relevance, scores: NDArray[np.float64]) -> float:
    return relevance.probabilities(scores[:RESULTS].tolist())[0]


def _fitted(answers: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> Relevance:
    rows = [
        (1.0, score, gap)
        for scores, _ in answers
        for score, gap in zip(scores[:RESULTS].tolist(), gaps(scores[:RESULTS].tolist()), strict=True)
    ]
    right = np.concatenate([hits[:RESULTS] for _, hits in answers]).astype(np.float64)
    intercept, score, gap = logistic(np.array(rows), right)
    return Relevance(intercept=float(intercept), score=float(score), gap=float(gap))


def _shown(one: Reliability) -> dict[str, Any]:
    return {
        "error": round(one.error, 4),
        "floor": round(one.floor, 4),
        "stated": one.stated.round(4).tolist(),
        "found": one.found.round(4).tolist(),
    }

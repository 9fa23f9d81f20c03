"""Ranking measures, by ir-measures; here a tie is a miss.

A ranker that gives many documents one score has not found any of them, but trec-style tools break ties by id or
position and would credit it at random. So every relevant document is placed behind all others of its score before
the run is measured.
"""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG
from numpy.typing import NDArray

MEASURES = {"recall@1": R @ 1, "recall@5": R @ 5, "recall@10": R @ 10, "mrr": RR, "ndcg@10": nDCG @ 10}
"""Our names (the contract's) and theirs."""

Run = Mapping[str, Mapping[str, float]]
"""Query id → {document id: score}, higher is better; a document that is not named was not found."""


def measured(
    run: Run, relevant: Mapping[str, Mapping[str, int]], query_ids: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Each measure for each query, float64 (n,), in the order of `query_ids`; no answer at all counts as 0."""
    place = {query: position for position, query in enumerate(query_ids)}
    values = {name: np.zeros(len(query_ids)) for name in MEASURES}
    names = {str(measure): name for name, measure in MEASURES.items()}
    strict = {query: ties_missed(run.get(query, {}), relevant[query]) for query in query_ids}
    judged = {query: dict(relevant[query]) for query in query_ids}
    for metric in ir_measures.iter_calc(list(MEASURES.values()), judged, strict):
        values[names[str(metric.measure)]][place[metric.query_id]] = metric.value
    return values


def ties_missed(scores: Mapping[str, float], relevant: Mapping[str, int]) -> dict[str, float]:
    """The same ranking as strictly falling scores, a relevant document behind all others of its score."""
    order = sorted(scores, key=lambda document: (-scores[document], document in relevant, document))
    return {document: float(len(order) - position) for position, document in enumerate(order)}

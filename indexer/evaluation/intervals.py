"""How sure a figure is: bootstrap intervals, and paired tests between two rankers.

Queries of one image are not independent, so images (clusters), not queries, are resampled (Sakai, "Laboratory
Experiments in Information Retrieval", 2018, ch. 4, with the cluster bootstrap of Field and Welsh, 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
SEED = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def interval(values: NDArray[np.float64], clusters: Sequence[str]) -> Interval:
    """Mean of values (n,) with its 95 % percentile interval over resampled clusters (n names)."""
    low, high = np.quantile(_means(values, clusters), (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


def p_value(values: NDArray[np.float64], others: NDArray[np.float64], clusters: Sequence[str]) -> float:
    """Two-sided bootstrap p that the mean difference of two paired rankers is zero."""
    means = _means(values - others, clusters)
    tail = min(float(np.mean(means <= 0.0)), float(np.mean(means >= 0.0)))
    return min(1.0, 2 * max(tail, 1 / RESAMPLES))


def _means(values: NDArray[np.float64], clusters: Sequence[str]) -> NDArray[np.float64]:
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    sums, sizes = np.bincount(member, weights=values), np.bincount(member).astype(np.float64)
    drawn = np.random.default_rng(SEED).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    means: NDArray[np.float64] = (drawn @ sums) / (drawn @ sizes)
    return means

"""Is a probability worth what it says? Expected calibration error, reliability, and the price of saying 'nothing'."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
_WORLDS = 500
_SEED = 11

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of each bin, fewest chances first: mean `stated` probability and the `found` share, both float64 (bins,).

    `error` is the expected calibration error; `floor` what a perfect calibration would show on as many results, by
    chance alone.
    """

    stated: Floats
    found: Floats
    error: float
    floor: float


def reliability(chances: Floats, right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Expected calibration error in bins of equal mass (Nixon et al. 2019, arXiv 1904.01685); both (n,), n ≥ 1."""
    order = np.argsort(chances, kind="stable")
    said, true = chances[order], right[order].astype(np.float64)
    worlds = np.random.default_rng(_SEED).random((_WORLDS, len(said))) < said
    floor = np.mean([_error(said, world.astype(np.float64), bins) for world in worlds])
    return Reliability(_means(said, bins), _means(true, bins), _error(said, true, bins), float(floor))


def recognised(present: Floats, removed: Floats, alarms: Floats) -> Floats:
    """Which share of searches whose image is gone is told, float64 (a,), where so many others are told wrongly.

    `present` and `removed` are the first results' scores, higher is surer; `alarms` (a,) shares in 0…1.
    """
    bounds = np.quantile(present, alarms)
    shares: Floats = np.mean(removed[None, :] < bounds[:, None], axis=1)
    return shares


def _error(chances: Floats, right: Floats, bins: int) -> float:
    sizes = np.array([len(part) for part in np.array_split(chances, bins)])
    return float(np.sum(sizes * np.abs(_means(chances, bins) - _means(right, bins))) / len(chances))


def _means(values: Floats, bins: int) -> Floats:
    return np.array([part.mean() if len(part) else 0.0 for part in np.array_split(values, bins)])

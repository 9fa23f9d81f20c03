"""Vectors as whole numbers of one byte each, on one scale for all numbers: their products need no decoding.

Where an encoder's vectors lie mostly in one direction, what is told is how they differ from their mean. The mean adds
the same to a query's product with every vector, so leaving it out keeps their order for any query; between vectors it
does not, and a graph's links are a little worse for it: recall .982 instead of .985 at equal effort where the mean is
short. So it stays in where it is short.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors

_LARGEST = 127
_WITHIN = 0.9999
"""This share of the numbers keeps its size; the largest are cut off."""
_MOSTLY = 0.5
"""From this share of the vectors' squared length on, their mean is left out."""


@dataclass(frozen=True, slots=True)
class WholeNumbers:
    """`centre` float32 (dim,), maybe zero; `scale` is what is multiplied with after it was taken away."""

    centre: NDArray[np.float32]
    scale: float

    @classmethod
    def fit(cls, vectors: Vectors) -> Self:
        """What tells vectors like these, float32 (n, dim), best."""
        if not len(vectors):
            return cls(np.zeros(vectors.shape[1], np.float32), 1.0)
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        centre = mean if mean @ mean > _MOSTLY * np.mean(np.sum(vectors * vectors, axis=1)) else np.zeros_like(mean)
        return cls(centre, _LARGEST / max(float(np.quantile(np.abs(vectors - centre), _WITHIN)), 1e-9))

    def coded(self, vectors: Vectors) -> Vectors:
        """Whole numbers from −127 to 127, float32 (n, dim)."""
        whole: Vectors = np.clip(np.rint((vectors - self.centre) * np.float32(self.scale)), -_LARGEST, _LARGEST)
        return whole

    def asked(self, query: Vectors) -> tuple[Vectors, float]:
        """The query, float32 (dim,), as whole numbers on its own scale, and what its products are to be divided by:
        they are its scores then, but for one constant."""
        scale = _LARGEST / max(float(np.abs(query).max()), 1e-9)
        return np.rint(query * np.float32(scale)), self.scale * scale

    def told(self) -> dict[str, Any]:
        """For a file of JSON; `of` reads it."""
        return {"centre": self.centre.tolist(), "scale": self.scale}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """Raises `KeyError`, `TypeError`, `ValueError`."""
        return cls(np.array(told["centre"], np.float32), float(told["scale"]))

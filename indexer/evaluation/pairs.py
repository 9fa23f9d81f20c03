"""What a ranker says of single (query, description) pairs, whatever it is made of."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from scenes.description import SceneDescription

PairScorer = Callable[[Sequence[str], Sequence[SceneDescription]], NDArray[np.float32]]
"""Scores float32 (n,) of n queries, each against the description in its place; higher is better."""

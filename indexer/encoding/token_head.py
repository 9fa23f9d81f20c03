"""From the hidden states of an encoder to word vectors: projected, of unit length, without punctuation."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Words
from indexer.vectors.compiled import compiled
from scenes.errors import Corrupt

HEAD = "word_head.npy"
"""The projection beside an encoder's weights, float32 (hidden, word_dim)."""


class WordHead:
    """`projection` float32 (hidden, word_dim), or None to keep hidden states as they are; `kept` bool (vocabulary,)."""

    def __init__(self, projection: NDArray[np.float32] | None, kept: NDArray[np.bool_]) -> None:
        self._projection = projection
        self._kept = kept

    def words(self, hidden: NDArray[np.float32], tokens: Sequence[int]) -> Words:
        """Word vectors of one text: `hidden` float32 (≥ t, hidden) in the order of its `tokens` (t numbers)."""
        said = hidden[: len(tokens)][self._kept[np.asarray(tokens, np.int64)]]
        return self._projected(said)

    def words_of_batch(
        self, hidden: NDArray[np.float32], ids: NDArray[np.int64], mask: NDArray[np.int64]
    ) -> list[Words]:
        """Word vectors of each text of a batch: `hidden` float32 (n, t, hidden), `ids` and `mask` int64 (n, t)."""
        chosen = self._kept[ids] & (mask > 0)
        ends = np.cumsum(chosen.sum(axis=1))
        return np.split(self._projected(hidden[chosen]), ends[:-1])

    def _projected(self, said: NDArray[np.float32]) -> Words:
        projected = said if self._projection is None else _product(said, self._projection)
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        unit: Words = (projected / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32, copy=False)
        return unit


def _product(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ matrix`, where a word's numbers do not depend on its neighbours."""
    product: NDArray[np.float32] = _multiplied(np.ascontiguousarray(rows), np.ascontiguousarray(matrix))
    return product


@compiled("float32[:,::1](float32[:,::1], float32[:,::1])", fastmath={"reassoc", "contract", "nsz"})
def _multiplied(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    products = np.zeros((len(rows), matrix.shape[1]), np.float32)
    for place in range(len(rows)):
        for i in range(len(matrix)):
            for column in range(matrix.shape[1]):
                products[place, column] += rows[place, i] * matrix[i, column]
    return products


def kept_tokens(vocabulary: Iterable[tuple[str, int]], special: Iterable[int], size: int) -> NDArray[np.bool_]:
    """Which token numbers are words, bool (size,): they hold a letter or a digit and are no special token."""
    kept = np.zeros(size, np.bool_)
    for token, number in vocabulary:
        kept[number] = any(letter.isalnum() for letter in token)
    kept[list(special)] = False
    return kept


def read_head(folder: Path | None) -> NDArray[np.float32] | None:
    """The projection in an encoder's folder, None where it has none. Raises `Corrupt` (`word_head_unreadable`)."""
    if folder is None or not (folder / HEAD).is_file():
        return None
    try:
        projection: NDArray[np.float32] = np.load(folder / HEAD, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise Corrupt("word_head_unreadable", f"{folder / HEAD} can't be read: {error}") from error
    if projection.dtype != np.float32 or projection.ndim != 2:  # noqa: PLR2004 - a matrix
        raise Corrupt("word_head_unreadable", f"{folder / HEAD} is no float32 matrix")
    return projection


def copy_head(source: Path | None, target: Path) -> None:
    """Put the projection of an encoder's folder, if it has one, into another folder."""
    if source is not None and (source / HEAD).is_file():
        shutil.copyfile(source / HEAD, target / HEAD)

"""Late interaction: every word of the query looks for its best match among the words of a description.

One pooled vector blurs which colour belongs to which object; vectors of words in their context do not. A score is
the mean over the query's words of the largest inner product with any word of the description (MaxSim of ColBERT,
Khattab and Zaharia 2020, arXiv 2004.12832; the mean in place of the sum, so that long queries score alike).

Pairs bind 'red' to 'bus' where single words do not: two neighbours of the query look for two words of the
description that stand in the same order and close to each other, both of which must fit, so their inner products are
multiplied (the soft n-grams of Conv-KNRM, Dai et al. 2018, without weights to learn).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Words
from indexer.tokens.maxsim import maxsim

Packed = NDArray[np.int8]
"""int8 (t, word_dim): one text's word vectors, in steps of 1/127."""

Places = NDArray[np.int64]

_NO_WORDS: Packed = np.empty((0, 0), np.int8)
_LEVELS = 127
_FINE = 32_767
"""A query's words are taken in steps of 1/32,767, 258 times finer than those of a description."""
_UNITS = np.array([[1 / (_LEVELS * _FINE)], [1 / (_LEVELS * _FINE) ** 2]])


def pack(words: Words) -> Packed:
    """Word vectors as signed bytes: a quarter of float32."""
    return np.rint(np.clip(words, -1.0, 1.0) * _LEVELS).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Said:
    """What n descriptions say: those of description i are the `lengths[i]` words from `begins[i]` on.

    `words` int8 (t, word_dim) may hold others beside; `begins` and `lengths` int64 (n,), a length of −1 where a
    description is not there.
    """

    words: Packed
    begins: Places
    lengths: Places

    @classmethod
    def of(cls, documents: Sequence[Packed | None]) -> "Said":
        """Each document's words, None where it is not there."""
        there = [words for words in documents if words is not None]
        lengths = np.array([-1 if words is None else len(words) for words in documents], np.int64)
        filled = np.maximum(lengths, 0)
        return cls(np.concatenate(there) if there else _NO_WORDS, np.cumsum(filled) - filled, lengths)

    @classmethod
    def at(cls, words: Mapping[int, Packed], rows: Places) -> "Said":
        """Of these rows."""
        return cls.of([words.get(row) for row in rows.tolist()])

    @property
    def is_whole(self) -> bool:
        """Are all descriptions there?"""
        return not len(self.lengths) or bool(self.lengths.min() >= 0)

    @property
    def says_anything(self) -> bool:
        """Has any description a word?"""
        return bool(len(self.lengths)) and bool(self.lengths.max() > 0)

    def each(self) -> list[Packed | None]:
        """Each description's words, None where it is not there."""
        places = zip(self.begins.tolist(), self.lengths.tolist(), strict=True)
        return [None if length < 0 else self.words[begin : begin + length] for begin, length in places]

    def chosen(self, which: slice | NDArray[np.bool_]) -> "Said":
        """Some of the descriptions."""
        return Said(self.words, self.begins[which], self.lengths[which])


def late_scores(query: Words, said: Said) -> NDArray[np.float32]:
    """MaxSim by words and by pairs of one query against descriptions, float32 (2, n), about −1…1 and 0…1.

    0 where the query or the description has no words. A query of one word is a pair with itself. Raises `ValueError`
    where word vectors differ in length.
    """
    return late_scores_of([query], said, [len(said.lengths)])


def late_scores_of(queries: Sequence[Words], said: Said, counts: Sequence[int]) -> NDArray[np.float32]:
    """`late_scores` of several queries: the first `counts[0]` descriptions are held against the first query, and so on;
    float32 (2, n) for all n descriptions. Raises as `late_scores` does."""
    query_tokens = np.concatenate(queries) if queries else _NO_WORDS
    if not len(query_tokens) or not said.says_anything:
        return np.zeros((2, len(said.lengths)), np.float32)
    if said.words.shape[1] != query_tokens.shape[1]:
        raise ValueError(f"word vectors of {said.words.shape[1]} numbers beside a query's of {query_tokens.shape[1]}")
    fine = np.rint(query_tokens * np.float32(_FINE)).astype(np.int16)
    query_ends, ends = np.cumsum([len(query) for query in queries]), np.cumsum(counts)
    products = maxsim(fine, query_ends, said.words, said.begins, said.lengths, ends)
    scores: NDArray[np.float32] = (products * _UNITS).astype(np.float32)
    return scores

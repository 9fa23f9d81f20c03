"""Whose words won: how much of the score by words each phrase of a description has.

The score by words (`late_interaction`) is the mean of what each word of the query adds, the likeness of its best match;
what it adds belongs to the phrase that the matched word stands in. Words that are alike to the last bit share it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Words
from indexer.tokens.late_interaction import Packed

_DIGITS = 10_000


def word_shares(
    query: Words, documents: Sequence[Packed], owners: Sequence[NDArray[np.int16]], phrases: Sequence[int]
) -> list[list[float]]:
    """For each document the shares of its phrases, 0…1, rounded down to four digits: 1 at most together.

    `documents` int8 (t, word_dim) each with `owners` int16 (t,), the place of each word's phrase or −1 for none; no
    document and no query is empty. `phrases` says how many phrases each has.
    """
    lengths = np.array([len(words) for words in documents])
    starts = np.cumsum(lengths) - lengths
    said = np.concatenate(documents).astype(np.float32)
    products: NDArray[np.float32] = query @ said.T
    best = np.maximum.reduceat(products, starts, axis=1)
    asking, matched = np.nonzero(products == np.repeat(best, lengths, axis=1))
    document = np.repeat(np.arange(len(documents)), lengths)[matched]
    tied = np.zeros(best.shape, np.float32)
    np.add.at(tied, (asking, document), 1)
    won = np.maximum(best, 0)[asking, document] / tied[asking, document]
    slots = np.array(phrases) + 1  # the first slot of each document is that of words between phrases
    first = np.cumsum(slots) - slots
    summed = np.bincount(first[document] + np.concatenate(owners)[matched] + 1, won, minlength=int(slots.sum()))
    totals = np.add.reduceat(summed, first)
    shares = np.floor(_DIGITS * summed / np.repeat(np.maximum(totals, np.finfo(np.float32).tiny), slots)) / _DIGITS
    return [part[1:].tolist() for part in np.split(shares, first[1:])]

"""The projection of word vectors to fewer dimensions: principal directions of training texts' words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Encoder

DIMENSIONS = 128
_TEXTS = 4_000


def projection(encoder: Encoder, texts: Sequence[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """float32 (hidden, dimensions), orthonormal columns that keep inner products of words best (uncentred PCA).

    `encoder` gives words as they are, without a projection of its own.
    """
    chosen = np.random.default_rng(0).permutation(len(texts))[:_TEXTS]
    words = np.concatenate(encoder.encode_queries([texts[place] for place in chosen]).words).astype(np.float64)
    _, directions = np.linalg.eigh(words.T @ words)
    kept = directions[:, ::-1][:, : min(dimensions, directions.shape[1])]
    signs = np.sign(kept[np.argmax(np.abs(kept), axis=0), np.arange(kept.shape[1])])
    return np.ascontiguousarray(kept * signs, np.float32)

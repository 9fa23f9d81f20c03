"""What an encoder is: text in, unit vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scenes.recipe import EncoderRecipe

Vectors = NDArray[np.float32]
"""float32 (n, dim), rows of unit length."""


Words = NDArray[np.float32]
"""float32 (t, word_dim), unit rows: one text's words, each in its context; punctuation is left out."""


Spans = NDArray[np.int32]
"""int32 (t, 2): where each word of a text begins and ends in it, in characters."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """`vectors` float32 (n, dim), unit rows; `truncated` bool (n,): was the text longer than the encoder reads?

    `words` are n texts' word vectors, or nothing at all from an encoder whose recipe says `word_dimensions` 0.
    """

    vectors: Vectors
    truncated: NDArray[np.bool_]
    words: tuple[Words, ...] = ()


class Encoder(Protocol):
    """One calibrated text encoder for queries and documents; scores are inner products, higher is better."""

    @property
    def recipe(self) -> EncoderRecipe: ...

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Embed queries, with the query prompt where the model has one."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        """Embed descriptions' passages, with the document prompt where the model has one."""
        ...


@runtime_checkable
class LocatesWords(Protocol):
    """An encoder that knows where the words are whose vectors it gives."""

    def locate_words(self, texts: Sequence[str]) -> list[Spans]:
        """For each text where the words are that `encode_documents` gives for it; outside of it those of a prompt."""
        ...

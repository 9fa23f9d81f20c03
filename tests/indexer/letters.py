"""A fake encoder that obeys the protocol."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from indexer.encoding.encoder import Encoded
from scenes.recipe import EncoderRecipe


class BagOfLetters:
    """A seeded encoder that depends on its input: texts that share letters are near."""

    recipe = EncoderRecipe(model="letters", weights_digest="0" * 64, wording="whole-1", dimensions=32, max_tokens=500)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        vectors = np.array([self._one(text) for text in texts], np.float32).reshape(len(texts), 32)
        return Encoded(vectors, np.zeros(len(texts), np.bool_))

    encode_documents = encode_queries

    def _one(self, text: str) -> list[float]:
        counts = np.bincount([ord(letter) % 32 for letter in text.lower()], minlength=32).astype(float) + 0.01
        return (counts / np.linalg.norm(counts)).tolist()


class BagOfPairs(BagOfLetters):
    """Another encoder: texts that share pairs of neighbouring letters are near."""

    recipe = EncoderRecipe(model="pairs", weights_digest="1" * 64, wording="whole-1", dimensions=64, max_tokens=500)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        vectors = np.array([self._one(text) for text in texts], np.float32).reshape(len(texts), 64)
        return Encoded(vectors, np.zeros(len(texts), np.bool_))

    encode_documents = encode_queries

    def _one(self, text: str) -> list[float]:
        low = text.lower()
        pairs = [(ord(a) * 31 + ord(b)) % 64 for a, b in pairwise(low)]
        counts = np.bincount(pairs, minlength=64).astype(float) + 0.01
        return (counts / np.linalg.norm(counts)).tolist()

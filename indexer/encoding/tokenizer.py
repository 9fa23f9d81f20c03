"""The one door to tokenizers: text to token numbers, and whether it was longer than the encoder reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Spans
from indexer.encoding.token_head import kept_tokens

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class Tokens:
    """`ids` and `mask` int64 (n, length), padded on the right; mask is 1 where there is a token."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokenised:
    """Texts as token numbers, each as long as it is; `truncated` bool (n,)."""

    ids: list[list[int]]
    truncated: NDArray[np.bool_]

    def batch(self, rows: Sequence[int], length: int, pad: int) -> Tokens:
        """Some of the texts as one batch, all padded to `length` tokens."""
        chosen = [self.ids[row] for row in rows]
        ids = np.array([one + [pad] * (length - len(one)) for one in chosen], np.int64)
        mask = (np.arange(length) < np.array([[len(one)] for one in chosen])).astype(np.int64)
        return Tokens(ids, mask)


class Tokeniser:
    """A `tokenizer.json` that cuts after `max_tokens` tokens, special ones counted, and says so."""

    def __init__(self, tokenizer: "Tokenizer", max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        self._tokenizer = tokenizer
        self._kept: NDArray[np.bool_] | None = None

    @classmethod
    def copied(cls, serialised: str, max_tokens: int) -> "Tokeniser":
        """Of another one's settings as JSON; that one stays as it is."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(serialised), max_tokens)

    @classmethod
    def load(cls, file: Path, max_tokens: int) -> "Tokeniser":
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(file)), max_tokens)

    def kept(self) -> NDArray[np.bool_]:
        """Which token numbers are words, bool (vocabulary,)."""
        if self._kept is None:
            special = [number for number, token in self._tokenizer.get_added_tokens_decoder().items() if token.special]
            vocabulary, size = self._tokenizer.get_vocab().items(), self._tokenizer.get_vocab_size()
            self._kept = kept_tokens(vocabulary, special, size)
        return self._kept

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """Each text is read once. Safe from several threads."""
        encodings: list[Encoding] = self._tokenizer.encode_batch([text.strip() for text in texts])
        truncated = np.array([bool(one.overflowing) for one in encodings], dtype=np.bool_)
        return Tokenised([one.ids for one in encodings], truncated)

    def locate(self, texts: Sequence[str], prompt: str) -> list[Spans]:
        """For each text, read behind the prompt, where its words lie in it. Safe from several threads."""
        kept, whole = self.kept(), [prompt + text for text in texts]
        encodings: list[Encoding] = self._tokenizer.encode_batch([text.strip() for text in whole])
        skipped = [len(text) - len(text.lstrip()) - len(prompt) for text in whole]
        return [
            (np.array(one.offsets, np.int32).reshape(-1, 2) + begin)[kept[np.array(one.ids, np.int64)]]
            for one, begin in zip(encodings, skipped, strict=True)
        ]

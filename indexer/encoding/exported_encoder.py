"""An exported sentence-transformers model, served without torch: tokenise, run, normalise.

What is kept, documents' vectors, is always computed in fp32. Queries are computed in the precision that the export was
checked with: bf16 where the machine multiplies it in hardware and ranks by it as by fp32.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from indexer.encoding.encoder import Encoded, Spans, Vectors, Words
from indexer.encoding.openvino_session import EncoderSessions, Precision
from indexer.encoding.token_head import WordHead, read_head
from indexer.encoding.tokenizer import Tokenised, Tokeniser, Tokens
from scenes.artifact import verify_folder
from scenes.recipe import EncoderRecipe
from scenes.wording import DEFAULT_WORDING, view_names

KIND = "exported-encoder"
EXPORT_VERSION = 4
MODEL = "model.xml"
TOKENIZER = "tokenizer.json"
FACTS = "encoder.json"
_BATCH = 32
_BATCH_TOKENS = 4_096
_STEP = 16
"""Texts are padded to a multiple of so many tokens: sums over fewer lanes of a register round otherwise."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Row numbers of texts that are run together, each padded to `length` tokens."""

    rows: list[int]
    length: int


Run = Callable[[Tokens], tuple[Vectors, NDArray[np.float32]]]


class ExportFacts(BaseModel):
    """What an export knows of its source and of the machine that it was made on.

    `agreement` is the least cosine with torch over the probes, in fp32; `queries` the precision that queries are
    computed in, `ranking` which share of the ten best it has in common with fp32.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: EncoderRecipe
    pad_token: int
    agreement: float = 1.0
    queries: Precision = "fp32"
    ranking: float = 1.0


class ExportedEncoder:
    """Gives the vectors of the model that it was exported from, under the same recipe. Safe from several threads."""

    def __init__(self, model: Path, tokeniser: Tokeniser, head: WordHead, facts: ExportFacts) -> None:
        """Raises as `EncoderSessions`."""
        self._sessions = EncoderSessions(model, facts.queries)
        self._precision = facts.queries
        self._head = head
        self._tokeniser = tokeniser
        self._recipe = facts.recipe
        self._pad = facts.pad_token

    @classmethod
    def load(cls, folder: Path, *, wording: str = DEFAULT_WORDING) -> "ExportedEncoder":
        """Open an export, its files verified. Raises `Corrupt` (`artifact_corrupt`)."""
        verify_folder(folder, KIND)
        facts = ExportFacts.model_validate_json((folder / FACTS).read_bytes())
        return cls.opened(folder, facts, wording)

    @classmethod
    def opened(cls, folder: Path, facts: ExportFacts, wording: str) -> "ExportedEncoder":
        """Open an export's files, unverified."""
        recipe = facts.recipe.model_copy(update={"wording": wording, "views": len(view_names(wording))})
        tokeniser = Tokeniser.load(folder / TOKENIZER, recipe.max_tokens)
        head = WordHead(read_head(folder), tokeniser.kept())
        return cls(folder / MODEL, tokeniser, head, facts.model_copy(update={"recipe": recipe}))

    @property
    def recipe(self) -> EncoderRecipe:
        return self._recipe

    @property
    def precision(self) -> Precision:
        """What queries are computed in."""
        return self._precision

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        return self._encode(texts, self._recipe.query_prompt, self._sessions.run_queries)

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        return self._encode(texts, self._recipe.document_prompt, self._sessions.run_documents)

    def locate_words(self, texts: Sequence[str]) -> list[Spans]:
        return self._tokeniser.locate(texts, self._recipe.document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str, run: Run) -> Encoded:
        tokenised = self._tokeniser.tokenise([prompt + text for text in texts])
        vectors = np.empty((len(texts), self._recipe.dimensions), np.float32)
        words: dict[int, Words] = {}
        planned = batches(tokenised, self._recipe.max_tokens)

        def fill(batch: Batch) -> None:
            rows = batch.rows
            tokens = tokenised.batch(rows, batch.length, self._pad)
            raw, hidden = run(tokens)
            vectors[rows] = normalised(raw)
            words.update(zip(rows, self._head.words_of_batch(hidden, tokens.ids, tokens.mask), strict=True))

        if len(texts) > _BATCH:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(fill, planned))
        else:
            for batch in planned:
                fill(batch)
        return Encoded(vectors, tokenised.truncated, tuple(words[row] for row in range(len(texts))))


def batches(tokenised: Tokenised, most: int) -> list[Batch]:
    """Texts of one padded length share batches of ≤ 32 texts and ≤ 4,096 tokens; no text is padded over `most`.

    How long a text is padded depends on the text alone, so that its numbers do not depend on its batch.
    """
    alike: dict[int, list[int]] = {}
    for row, tokens in enumerate(tokenised.ids):
        alike.setdefault(min(most, -(-len(tokens) // _STEP) * _STEP), []).append(row)
    found = []
    for length in sorted(alike):
        size = max(1, min(_BATCH, _BATCH_TOKENS // max(1, length)))
        rows = alike[length]
        found += [Batch(rows[start : start + size], length) for start in range(0, len(rows), size)]
    return found


def normalised(vectors: Vectors) -> Vectors:
    """Rows of unit length."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit

"""The one door to sentence_transformers: text to unit vectors, nothing cut silently."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.encoder import Encoded, Vectors
from indexer.encoder_files import find_encoder
from scenes.errors import EnvironmentMissing
from scenes.models import packaged_models
from scenes.recipe import EncoderRecipe
from scenes.wording import DEFAULT_WORDING, view_names

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 32


class SentenceEncoder:
    """A sentence-transformers model, given by a packaged model's name, a folder or a hub name."""

    def __init__(self, model: "SentenceTransformer", recipe: EncoderRecipe) -> None:
        self._model = model
        self._recipe = recipe

    @classmethod
    def load(cls, name: str | None = None, *, wording: str = DEFAULT_WORDING) -> "SentenceEncoder":
        """Load an encoder; None is the shipped default, its digest verified.

        Raises `EnvironmentMissing` (`model_missing`, `encoder_unavailable`) and `Corrupt` (`model_digest_wrong`).
        """
        files = find_encoder(name)
        model = _load(files.source)
        return cls(model, _recipe(files.name, files.weights_digest, model, wording))

    @property
    def model(self) -> "SentenceTransformer":
        """The model itself, for exporting and training."""
        return self._model

    @property
    def recipe(self) -> EncoderRecipe:
        return self._recipe

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        return self._encode(texts, self._recipe.query_prompt)

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        return self._encode(texts, self._recipe.document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str) -> Encoded:
        if not texts:
            return Encoded(np.empty((0, self._recipe.dimensions), np.float32), np.empty(0, np.bool_))
        prompted = [prompt + text for text in texts]
        vectors: Vectors = self._model.encode(
            prompted, batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        ).astype(np.float32)
        return Encoded(vectors, self._truncated(prompted))

    def _truncated(self, texts: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        tokenizer: Any = self._model.tokenizer
        lengths = [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]
        return np.array([length > self._recipe.max_tokens for length in lengths], dtype=np.bool_)


def _load(source: str) -> "SentenceTransformer":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise EnvironmentMissing(
            "encoder_not_installed", "sentence-transformers is not installed", fix="pip install 'wordsight[server]'"
        ) from error
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(source)
    except (OSError, ValueError) as error:
        raise EnvironmentMissing(
            "encoder_unavailable",
            f"the encoder {source!r} can't be loaded: {error}",
            fix="name a sentence-transformers folder on this machine, or a model that can be downloaded",
        ) from error


def _recipe(name: str, digest: str, model: "SentenceTransformer", wording: str) -> EncoderRecipe:
    prompts = model.prompts or {}
    return EncoderRecipe(
        model=name if name in packaged_models() else Path(name).name,
        weights_digest=digest,
        wording=wording,
        views=len(view_names(wording)),
        dimensions=int(model.get_embedding_dimension() or 0),
        max_tokens=int(model.max_seq_length or 512),
        query_prompt=prompts.get("query", ""),
        document_prompt=prompts.get("document", "") or prompts.get("passage", ""),
    )

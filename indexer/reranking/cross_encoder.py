"""The one door to sentence_transformers' CrossEncoder: a folder of one's own that scores a query beside texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.sentence_encoder import quiet_library
from indexer.reranking.files import RerankerFiles, find_reranker, invalid
from indexer.reranking.reranking import BATCH

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_WARM = ["a first text, so that the next ones are quick"] * BATCH


class FolderReranker:
    """A cross-encoder in torch; its scores are its one logit, whatever activation its folder names.

    An activation keeps the order and makes good scores alike: a sigmoid in float32 is 1 from a logit of 17 on.
    """

    def __init__(self, model: "CrossEncoder", name: str) -> None:
        self._model = model
        self._name = name

    @classmethod
    def load(cls, folder: Path) -> "FolderReranker":
        """A cross-encoder, warm. Nothing is downloaded, and no code of the folder is run.

        Raises `BadInput` (`reranker_invalid`), `EnvironmentMissing` (`encoder_not_installed`).
        """
        files = find_reranker(folder)
        made = cls(_load(files), files.name)
        if not np.isfinite(made.scores("a first query", _WARM)).all():
            raise invalid(f"the cross-encoder in {folder} gives scores that are no numbers")
        return made

    @property
    def name(self) -> str:
        return self._name

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n,). What is longer than the model reads is cut at its end."""
        if not texts:
            return np.empty(0, np.float32)
        pairs = [(query, text) for text in texts]
        found = self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False)
        return np.asarray(found, np.float32)


def _load(files: RerankerFiles) -> "CrossEncoder":
    quiet_library()
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    try:
        model: CrossEncoder = CrossEncoder(str(files.folder), local_files_only=True, activation_fn=torch.nn.Identity())
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise invalid(f"the cross-encoder in {files.folder} can't be loaded: {error}") from error
    if model.num_labels != 1:
        raise invalid(f"the cross-encoder in {files.folder} gives {model.num_labels} scores, not one")
    return model

"""The encoder while it is trained: texts to unit vectors with gradients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.calibration.objective import Texts
from indexer.encoding.token_head import kept_tokens

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

QUERY_TOKENS = 64
DESCRIPTION_TOKENS = 160


class Trainee:
    """A sentence-transformers model; its word embeddings stay as they are, everything above is trained."""

    def __init__(self, model: Any) -> None:
        import torch

        self.model = model
        tokenizer: Any = model.tokenizer
        kept = kept_tokens(tokenizer.get_vocab().items(), tokenizer.all_special_ids, len(tokenizer))
        self._kept = torch.from_numpy(np.asarray(kept)).to(model.device)
        inner: Any = model[0]
        for parameter in inner.auto_model.get_input_embeddings().parameters():
            parameter.requires_grad = False
        self._positions = int(model.max_seq_length or DESCRIPTION_TOKENS)

    def trained(self) -> "dict[str, Parameter]":
        """The parameters that training changes, by name."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def encode(self, texts: Sequence[str], most_tokens: int) -> Texts:
        """Vectors with gradients; words first in each row."""
        import torch
        from torch.nn.functional import normalize

        features = self._features(texts, min(most_tokens, self._positions))
        for stage in self.model:
            features = stage(features)
        ids: Tensor = features["input_ids"]
        said = self._kept[ids] & features["attention_mask"].bool()
        order = torch.argsort((~said).int(), dim=1, stable=True)[:, : max(2, int(said.sum(1).max()))]
        hidden: Tensor = features["token_embeddings"]
        words = normalize(hidden.gather(1, order[:, :, None].expand(-1, -1, hidden.shape[2])), dim=-1)
        return Texts(normalize(features["sentence_embedding"], dim=-1), words, said.gather(1, order))

    def _features(self, texts: Sequence[str], most_tokens: int) -> dict[str, Any]:
        tokenizer: Any = self.model.tokenizer
        read = tokenizer(list(texts), padding=True, truncation=True, max_length=most_tokens, return_tensors="pt")
        return {name: value.to(self.model.device) for name, value in read.items()}

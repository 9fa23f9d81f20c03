"""A fake re-ranker that obeys the protocol, and a real one with tiny random weights."""

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenes.weights.registry import BASE_ENCODER, find_model


class SharedWords:
    """Depends on its input: texts are better the more words they share with the query, and the shorter they are."""

    def __init__(self, name: str = "shared-words@0") -> None:
        self.name = name
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        self.threads.add(threading.current_thread().name)
        return np.array([self._one(query, text) for text in texts], np.float32).reshape(len(texts))

    def _one(self, query: str, text: str) -> float:
        return len(_words(query) & _words(text)) - len(text) / 1_000


def _words(text: str) -> set[str]:
    return set(text.lower().replace(".", " ").replace(",", " ").split())


def tiny_cross_encoder(folder: Path, *, labels: int = 1, seed: int = 0) -> Path:
    """One random layer of 32 numbers with the tokenizer of the packaged encoder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=30_522,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=labels,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(find_model(BASE_ENCODER) / name, folder)
    return folder

"""A sentence-transformers folder with tiny random weights, for what does not depend on how good an encoder is."""

import shutil
from pathlib import Path

from scenes.weights.registry import BASE_ENCODER, find_model


def tiny_encoder(folder: Path, *, seed: int = 0) -> str:
    """One random layer of 32 numbers with the tokenizer of the packaged encoder; returns the folder's name."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    weights = folder / "weights"
    BertModel(config).save_pretrained(weights)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(find_model(BASE_ENCODER) / name, weights)
    words = Transformer(str(weights), max_seq_length=64)
    SentenceTransformer(modules=[words, Pooling(32)]).save(str(folder / "encoder"))
    return str(folder / "encoder")

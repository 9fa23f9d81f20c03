"""A tiny random Qwen3-VL: real vLLM plumbing, meaningless words."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast, Qwen2VLImageProcessor, Qwen3VLConfig

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type in ('image', 'image_url', 'image_pil') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


_ALWAYS, _IN_TEXT = 0, 1
"""Hidden dimensions that `_make_brief` keeps constant: one everywhere, one but for the start of a text or a list."""

_CONSTANT, _WISH = 8.0, 1.3


def build(folder: Path, *, brief: bool = False) -> Path:
    """Save the model, its tokenizer and its image processor; a brief one likes to end its texts and lists."""
    tokenizer = _tokenizer()
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(_config(len(tokenizer), ids), dtype=torch.float32)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(4.0)
        if brief:
            _make_brief(model, tokenizer.get_vocab())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessor(
        patch_size=16, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 1024, "longest_edge": 16_384}
    ).save_pretrained(folder)
    return folder


def _make_brief(model: Any, vocabulary: dict[str, int]) -> None:
    """A bias towards closing quotes and against commas, so that a random model's JSON ends by itself."""
    text = model.model.language_model
    for dimension in (_ALWAYS, _IN_TEXT):
        text.embed_tokens.weight[:, dimension] = _CONSTANT
        for layer in text.layers:
            layer.self_attn.o_proj.weight[dimension] = 0.0
            layer.mlp.down_proj.weight[dimension] = 0.0
        model.lm_head.weight[:, dimension] = 0.0
    for start in ('"', "["):
        text.embed_tokens.weight[vocabulary[start], _IN_TEXT] = 0.0
    model.lm_head.weight[vocabulary['"'], _IN_TEXT] = _WISH
    model.lm_head.weight[vocabulary[","], _ALWAYS] = -_WISH


def _tokenizer() -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), vocab_size=320
    )
    raw.train_from_iterator(["a dog on a red sofa"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )


def _config(vocabulary: int, ids: dict[str, int]) -> Qwen3VLConfig:
    text = {
        "vocab_size": vocabulary, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 4096,
        "rope_scaling": {"rope_type": "default", "mrope_section": [8, 4, 4], "mrope_interleaved": True},
        "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"],
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64,
        "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "deepstack_visual_indexes": [0],
        "num_position_embeddings": 256,
    }  # fmt: skip
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        eos_token_id=ids["<|im_end|>"],
    )

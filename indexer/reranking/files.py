"""Which files a cross-encoder is made of: a folder on this machine that says it is one, its files' digest told."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.encoding.files import settings_digest
from scenes.artifact import file_sha256
from scenes.errors import BadInput

_KIND = "ForSequenceClassification"
_FIX = "name the folder of a cross-encoder with one score, such as CrossEncoder.save_pretrained writes"


@dataclass(frozen=True, slots=True)
class RerankerFiles:
    """`digest` is hex SHA-256 over the weights and every settings file: it changes with whatever changes a score."""

    folder: Path
    digest: str

    @property
    def name(self) -> str:
        """The folder's name and the digest of its files."""
        return f"{self.folder.resolve().name}@{self.digest}"


def find_reranker(folder: Path) -> RerankerFiles:
    """The files of a cross-encoder; nothing is loaded.

    Raises `BadInput` (`reranker_invalid`) where the folder is not there or holds no cross-encoder.
    """
    if not folder.is_dir():
        raise invalid(f"there is no folder {folder}; cross-encoders are not downloaded")
    config = _json(folder / "config.json")
    if not str((config.get("architectures") or [""])[0]).endswith(_KIND) and not _is_named_one(folder):
        raise invalid(f"{folder} holds no cross-encoder: its config.json names no model that ends in {_KIND}")
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise invalid(f"{folder} holds no weights: neither *.safetensors nor pytorch_model*.bin")
    told = "\n".join(f"{path.name} {file_sha256(path)}" for path in weights)
    return RerankerFiles(folder, settings_digest(folder, told))


def invalid(why: str) -> BadInput:
    """The error for a folder that can't re-rank."""
    return BadInput("reranker_invalid", why, fix=_FIX)


def _is_named_one(folder: Path) -> bool:
    """Was it saved by sentence-transformers as a cross-encoder, of whatever architecture?"""
    settings = folder / "config_sentence_transformers.json"
    return settings.is_file() and _json(settings).get("model_type") == "CrossEncoder"


def _json(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise invalid(f"{path.parent} holds no cross-encoder: {path.name} can't be read: {error}") from error
    if not isinstance(body, dict):
        raise invalid(f"{path.parent} holds no cross-encoder: {path.name} is no JSON object")
    return body

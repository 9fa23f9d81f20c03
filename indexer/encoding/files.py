"""Which files an encoder is made of: found by name, the weights' digest checked."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from indexer.encoding.token_head import HEAD
from scenes.artifact import known_sha256
from scenes.errors import Corrupt, EnvironmentMissing
from scenes.weights.registry import DEFAULT_ENCODER, find_model, packaged_models

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "0_Transformer/model.safetensors")
_SETTINGS = (HEAD, "*.json", "*.txt", "*.model", "*/config.json")


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """`folder` is None for a hub name, whose files a hub's own cache keeps."""

    name: str
    folder: Path | None
    weights_digest: str

    @property
    def source(self) -> str:
        """What sentence-transformers loads."""
        return str(self.folder or self.name)

    def digest(self) -> str:
        """Hex SHA-256 over the weights and every settings file: it changes with whatever changes a vector."""
        assert self.folder is not None  # noqa: S101 - asked of folders only
        return settings_digest(self.folder, self.weights_digest)


def settings_digest(folder: Path, weights: str) -> str:
    """Hex SHA-256 over what is told of the weights and every settings file of a model's folder."""
    digest = hashlib.sha256(weights.encode())
    for path in sorted({path for pattern in _SETTINGS for path in folder.glob(pattern)}):
        digest.update(f"\0{path.relative_to(folder).as_posix()}\0{known_sha256(path)}".encode())
    return digest.hexdigest()


def find_encoder(name: str | None) -> EncoderFiles:
    """The files of an encoder: a packaged model's name (None for the shipped one), a folder or a hub name.

    Raises `EnvironmentMissing` (`model_missing`, `encoder_unavailable`) and `Corrupt` (`model_digest_wrong`).
    """
    chosen = name or DEFAULT_ENCODER
    folder = _folder(chosen)
    return EncoderFiles(chosen, folder, _weights_digest(chosen, folder))


def _folder(name: str) -> Path | None:
    if name in packaged_models():
        return find_model(name)
    return Path(name) if Path(name).is_dir() else None


def _weights_digest(name: str, folder: Path | None) -> str:
    if folder is None:
        return f"hub:{name}"
    weights = next((folder / file for file in _WEIGHTS if (folder / file).is_file()), None)
    if weights is None:
        raise EnvironmentMissing("encoder_unavailable", f"{folder} holds no sentence-transformers weights")
    digest = known_sha256(weights)
    expected = packaged_models()[name].sha256[weights.name] if name in packaged_models() else digest
    if digest != expected:
        raise Corrupt(
            "model_digest_wrong",
            f"{weights} is not the published file of {name!r}",
            fix=f"remove {folder} and run: wordsight models",
        )
    return digest

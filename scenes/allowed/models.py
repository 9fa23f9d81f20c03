"""Which models a collection may name, so that a server or a worker loads them.

A model's files are read by libraries that trust them, and a name that is no folder is looked up in a model hub. So a
name in the database is not enough, whoever wrote it there. Allowed are packaged models, those that the operator set
(`WORDSIGHT_ENCODERS`, `WORDSIGHT_ENGINE_MODELS`), and those that the operator named at a command line with this data
folder, which remembers them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scenes.artifact import write_file
from scenes.collection import Collection
from scenes.errors import BadInput, WordsightError
from scenes.weights.registry import packaged_models

_FOLDER = "allowed-models"
_Kind = Literal["encoder", "engine-model"]


@dataclass(frozen=True, slots=True)
class AllowedModels:
    """`home` is the data folder that remembers what was named at a command line; without one nothing is."""

    home: Path | None = None
    encoders: tuple[str, ...] = ()
    engine_models: tuple[str, ...] = ()

    def check_encoder(self, name: str | None, error: type[WordsightError] = BadInput) -> None:
        """Raises `error` (`encoder_not_allowed`); None is the shipped encoder."""
        if name is None or name in packaged_models() or name in self.encoders or self._is_remembered("encoder", name):
            return
        raise error(
            "encoder_not_allowed",
            "this encoder is not one of those that the operator allowed",
            fix="the operator names it in WORDSIGHT_ENCODERS, a JSON list, or: wordsight collection set NAME --encoder",
        )

    def check_engine(self, settings: Collection, error: type[WordsightError] = BadInput) -> None:
        """Raises `error` (`engine_model_not_allowed`); the openai engine loads nothing: its server has the model."""
        name = settings.engine_model
        if name is None or settings.engine == "openai":
            return
        if name not in self.engine_models and not self._is_remembered("engine-model", name):
            raise error(
                "engine_model_not_allowed",
                "this captioning model is not one of those that the operator allowed",
                fix="the operator names it in WORDSIGHT_ENGINE_MODELS, a JSON list, or: wordsight ingest --model",
            )

    def allow_encoder(self, name: str | None) -> None:
        """Remember an encoder that was named at a command line."""
        self._remember("encoder", name)

    def allow_engine_model(self, name: str | None) -> None:
        """Remember a captioning model that was named at a command line."""
        self._remember("engine-model", name)

    def _is_remembered(self, kind: _Kind, name: str) -> bool:
        path = self._path(kind, name)
        return path is not None and path.is_file()

    def _remember(self, kind: _Kind, name: str | None) -> None:
        path = None if name is None else self._path(kind, name)
        if path is not None and name is not None and not path.is_file():
            write_file(path, name.encode("utf-8", "surrogatepass"))

    def _path(self, kind: _Kind, name: str) -> Path | None:
        if self.home is None:
            return None
        return self.home / _FOLDER / kind / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()

"""Loads the redactor when the first description is checked: its model takes seconds, and is loaded once a process."""

import importlib.util
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from captioner.redaction.policy import PROSE, Redactor
from scenes.errors import EnvironmentMissing
from scenes.outcome import Described, Failed
from scenes.weights.registry import find_model, verify_model

if TYPE_CHECKING:
    from captioner.redaction.finding import Finder

_MODEL = "spacy-en-md"
_loading = threading.Lock()


class LateRedactor:
    """A `Redactor` that is loaded when it is first needed; whether it can be is found out at once."""

    def __init__(self, named_in: Sequence[str] = PROSE) -> None:
        """Raises `EnvironmentMissing` (`redaction_missing`, `model_missing`) and `Corrupt` (`model_digest_wrong`)."""
        missing = [name for name in ("presidio_analyzer", "spacy") if importlib.util.find_spec(name) is None]
        if missing:
            raise EnvironmentMissing(
                "redaction_missing",
                f"redaction needs {' and '.join(missing)}",
                fix="pip install 'wordsight[captioner]', or say --redact none",
            )
        self._model = find_model(_MODEL)
        verify_model(_MODEL, self._model)
        self._named_in = named_in
        self._loaded: Redactor | None = None

    def __call__(self, outcome: Described | Failed) -> Described | Failed:
        """The outcome without personal data."""
        if self._loaded is None:
            self._loaded = Redactor(_shared_finder(self._model), self._named_in)
        return self._loaded(outcome)


def _shared_finder(model: Path) -> "Finder":
    """The finder of this process; a second thread waits while the first one loads it."""
    with _loading:
        return _finder(model)


@cache
def _finder(model: Path) -> "Finder":
    from captioner.redaction.finding import Finder

    return Finder(model)

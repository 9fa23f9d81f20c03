"""Loading the redactor beside the engine's first work: the model takes seconds."""

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from captioner.redaction.policy import POLICY, PROSE
from scenes.errors import EnvironmentMissing
from scenes.outcome import Described, Failed
from scenes.weights.registry import find_model, verify_model

if TYPE_CHECKING:
    from captioner.redaction.policy import Redactor

__all__ = ["POLICY", "LateRedactor"]

_MODEL = "spacy-en-md"


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
        return self._redactor()(outcome)

    def _redactor(self) -> "Redactor":
        if self._loaded is None:
            from captioner.redaction.finding import Finder
            from captioner.redaction.policy import Redactor

            self._loaded = Redactor(Finder(self._model), self._named_in)
        return self._loaded

"""Where a text contains personal data. The one door to Presidio and spaCy on the captioner's side.

Importing this module takes seconds; `captioner.redaction.loading` imports it when the first description is checked.
"""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captioner.redaction.policy import Kind, Span
from scenes.host.imports import hidden

with hidden("transformers", "torch"):  # optional in Presidio and spaCy, and most of what importing them would cost
    import spacy
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        IbanRecognizer,
        IpRecognizer,
        PhoneRecognizer,
        SpacyRecognizer,
        UsSsnRecognizer,
    )

_KINDS: dict[str, Kind] = {
    "PERSON": "name",
    "EMAIL": "contact",
    "HANDLE": "contact",
    "PHONE_NUMBER": "contact",
    "CREDIT_CARD": "identifier",
    "IBAN_CODE": "identifier",
    "IP_ADDRESS": "identifier",
    "US_SSN": "identifier",
    "NUMBER": "identifier",
    "PLATE": "identifier",
}
_OWN: dict[str, tuple[str, float]] = {
    "EMAIL": (r"\b[\w.+-]+\s?@\s?[\w-]+(?:\.[\w-]+)+\b", 0.9),
    "HANDLE": (r"(?<![\w@.])@\w{3,}", 0.7),
    "NUMBER": (r"(?<![\d.,:/-])(?!(?:19|20)\d\d-\d\d-\d\d\b)\d(?:[ -]?\d){6,}(?![\d.,:/-]*\d)", 0.6),
    "PLATE": (
        r"\b(?=[A-Z0-9 -]*\d)(?=[A-Z0-9 -]*[A-Z])[A-Z]{1,3}[ -]?\d{2,4}[ -]?[A-Z]{1,3}\b|\b\d[A-Z]{3}\d{3}\b",
        0.6,
    ),
}
_LEAST_SCORE = 0.4
_REGIONS = ("US", "GB", "DE", "FR", "IN", "ES", "IT", "BR", "CN", "JP")
_DISABLED = ("parser", "senter", "lemmatizer")


class Finder:
    """Finds names by the spaCy model's entities, contacts and identifiers by Presidio's checks and own patterns.

    Safe to use from several threads, one at a time.
    """

    def __init__(self, model: Path) -> None:
        """`model` is a spaCy model folder."""
        nlp = _Nlp(model)
        registry = RecognizerRegistry(supported_languages=["en"], recognizers=_recognizers())
        self._engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])
        self._nlp = nlp
        self._turn = threading.Lock()

    def spans(self, text: str, *, names: bool = True) -> list[Span]:
        """All findings in a text, in order; they may overlap. Without `names` it is quick: no model runs."""
        with self._turn:
            return self._spans(text, names=names)

    def _spans(self, text: str, *, names: bool) -> list[Span]:
        artifacts = self._nlp.process_text(text, "en") if names else self._nlp.plain(text)
        kinds = [kind for kind in _KINDS if names or kind != "PERSON"]
        found = self._engine.analyze(text, "en", entities=kinds, score_threshold=_LEAST_SCORE, nlp_artifacts=artifacts)
        named = self._nlp.proper(artifacts)
        return sorted(
            (
                Span(*_trimmed(text, one.start, one.end), _KINDS[one.entity_type])
                for one in found
                if one.entity_type != "PERSON" or any(one.start <= at < one.end for at in named)
            ),
            key=lambda span: span.start,
        )


class _Nlp(SpacyNlpEngine):
    """Presidio's spaCy engine on a model folder, with only what entities need."""

    def __init__(self, model: Path) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": str(model)}])
        self._english = spacy.load(model, exclude=list(_DISABLED))
        self.nlp = {"en": self._english}  # type: ignore[assignment]

    def plain(self, text: str) -> NlpArtifacts:
        """Tokens alone."""
        doc = self._english.make_doc(text)
        return NlpArtifacts([], doc, [token.idx for token in doc], [token.text for token in doc], self, "en", [])

    @staticmethod
    def proper(artifacts: NlpArtifacts) -> set[int]:
        """Where proper nouns start."""
        return {token.idx for token in artifacts.tokens if token.pos_ == "PROPN" and token.text[:1].isupper()}


def _recognizers() -> Sequence[Any]:
    own = [
        PatternRecognizer(name, patterns=[Pattern(name, pattern, score)], global_regex_flags=re.MULTILINE)
        for name, (pattern, score) in _OWN.items()
    ]
    known = [
        SpacyRecognizer(supported_entities=["PERSON"]),
        PhoneRecognizer(supported_regions=_REGIONS),
        CreditCardRecognizer(),
        IbanRecognizer(),
        IpRecognizer(),
        UsSsnRecognizer(),
    ]
    return [*own, *known]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without a possessive's end and outer spaces."""
    word = text[start:end]
    for tail in ("'s", "’s"):
        word = word.removesuffix(tail)
    return start + len(word) - len(word.lstrip()), start + len(word.rstrip())

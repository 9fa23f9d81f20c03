"""The policy 'personal-1': what was found in one field leaves all fields, dead letters included.

Names are looked for in prose and visible text, contacts and identifiers in every field. A finding is then removed
wherever its words stand, so that no sibling field keeps it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from scenes.description import SceneDescription
from scenes.outcome import Described, Failed

POLICY = "personal-1"
NOTE = "redacted"
PROSE = ("summary", "detail", "visible_text")
"""Fields that a model writes freely."""

READ = ("visible_text",)
"""Where everything else is made of a fixed list of words, as in the basic engine: only what was read can be a name."""

_UNTOUCHED = {"position", "box", "count"}
_LEAST_LETTERS = 3
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


Kind = Literal["name", "contact", "identifier"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, from `start` up to `end`, and what it is."""

    start: int
    end: int
    kind: Kind


class Finds(Protocol):
    """What finds personal data in a text."""

    def spans(self, text: str, *, names: bool = True) -> list[Span]: ...


@dataclass
class _Found:
    """Words to remove and what to put for them."""

    words: dict[str, Kind] = field(default_factory=dict)

    def add(self, text: str, spans: Iterable[Span]) -> None:
        for span in spans:
            word = text[span.start : span.end]
            if len(word) >= _LEAST_LETTERS:
                self.words[word] = span.kind

    def remove_from(self, text: str) -> str:
        """The text with every finding replaced, longest first, whatever its case."""
        for word in sorted(self.words, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", f"[{self.words[word]}]", text, flags=re.IGNORECASE)
        return text


class Redactor:
    """The last gate before the first write."""

    def __init__(self, finder: Finds, named_in: Sequence[str] = PROSE) -> None:
        """Names are looked for in the fields `named_in`."""
        self._finder = finder
        self._named_in = named_in

    def __call__(self, outcome: Described | Failed) -> Described | Failed:
        """The outcome without personal data; a description that changed says so in its notes."""
        if isinstance(outcome, Failed):
            return outcome.model_copy(
                update={"detail": self.text(outcome.detail), "last_reply": self._reply(outcome.last_reply)}
            )
        description = self.description(outcome.description)
        exif = {name: self.text(value) for name, value in outcome.exif.items()}
        same = description == outcome.description and exif == outcome.exif
        notes = outcome.notes if same else (*outcome.notes, NOTE)
        return outcome.model_copy(update={"description": description, "exif": exif, "notes": notes})

    def description(self, description: SceneDescription) -> SceneDescription:
        """A description without personal data."""
        body = description.model_dump(mode="json")
        found = self._found(body)
        return SceneDescription.model_validate(_mapped(body, found.remove_from)) if found.words else description

    def text(self, text: str) -> str:
        """Any text without personal data."""
        found = _Found()
        for variant in _variants(text):
            found.add(text, self._finder.spans(variant))
        return found.remove_from(text)

    def _reply(self, reply: str | None) -> str | None:
        return None if reply is None else self.text(_ESCAPE.sub(lambda code: chr(int(code[1], 16)), reply))

    def _found(self, body: dict[str, Any]) -> _Found:
        found = _Found()
        prose = "\n".join(text for name in self._named_in for text in _texts(body[name]))
        for variant in _variants(prose):
            found.add(prose, self._finder.spans(variant))
        others = "\n".join(text for name, value in body.items() if name not in self._named_in for text in _texts(value))
        found.add(others, self._finder.spans(others, names=False))
        return found


def _variants(text: str) -> list[str]:
    """The text, and, where words are in capitals as on signs, the same in title case: models read names there."""
    titled = re.sub(r"\b[A-Z]{3,}\b", lambda word: word[0].title(), text)
    return [text] if titled == text else [text, titled]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _UNTOUCHED:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: inner if name in _UNTOUCHED else _mapped(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return value

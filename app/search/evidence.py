"""Evidence: which phrases of a description share words with the query. Shares are left open until they are measured."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scenes.answer import Evidence
from scenes.description import SceneDescription
from scenes.wording import object_phrase, people_phrase, relation_phrase

_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_STOP_WORDS = """
a an and are as at by for from in into is it its of on or over s that the there this to under was with
"""
_STOP = frozenset(_STOP_WORDS.split())
_MOST = 5


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of a description, ready to be evidence: its content words, and itself as JSON."""

    words: frozenset[str]
    evidence: Evidence
    written: bytes


def evidence(description: SceneDescription, query: str, fields: tuple[str, ...] | None = None) -> tuple[Evidence, ...]:
    """The phrases that share the most content words with the query, at most five; of these fields only, if any."""
    return tuple(phrase.evidence for phrase in chosen(prepared(description, fields), content_words(query)))


def prepared(description: SceneDescription, fields: tuple[str, ...] | None = None) -> tuple[Phrase, ...]:
    """Every phrase of a description, or of these fields of it, that has content words.

    What is absent from an image is evidence only where it is asked for by name.
    """
    told = [
        Evidence(field=field, phrase=phrase)
        for field, phrase in phrases(description)
        if _is_asked_for(field.split("/", 2)[1], fields)
    ]
    every = [Phrase(content_words(one.phrase), one, one.model_dump_json().encode()) for one in told]
    return tuple(phrase for phrase in every if phrase.words)


def chosen(phrases: Sequence[Phrase], wanted: frozenset[str]) -> tuple[Phrase, ...]:
    """The phrases that share the most content words with those wanted, at most five."""
    shared = [(len(wanted & phrase.words), phrase) for phrase in phrases if not wanted.isdisjoint(phrase.words)]
    shared.sort(key=lambda one: -one[0])
    return tuple(phrase for _, phrase in shared[:_MOST])


def content_words(text: str) -> frozenset[str]:
    """Lower-case word stems of a text, without words that say nothing alone."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _STOP)


def phrases(description: SceneDescription) -> Iterator[tuple[str, str]]:
    """Every phrase of a description with its JSON Pointer."""
    if description.summary:
        yield "/summary", description.summary
    yield from (("/detail", sentence) for sentence in _SENTENCE.split(description.detail) if sentence)
    yield from ((f"/objects/{i}", object_phrase(thing)) for i, thing in enumerate(description.objects))
    yield from ((f"/relations/{i}", relation_phrase(one)) for i, one in enumerate(description.relations))
    yield from ((f"/people/{i}", people_phrase(group)) for i, group in enumerate(description.people))
    for field in ("actions", "visible_text", "absent"):
        yield from ((f"/{field}/{i}", phrase) for i, phrase in enumerate(getattr(description, field)))
    for field, phrase in description.setting:
        if phrase:
            yield f"/setting/{field}", phrase
    yield from ((f"/{field}", told) for field in ("style", "medium") if (told := getattr(description, field)))


def _is_asked_for(field: str, fields: tuple[str, ...] | None) -> bool:
    return field != "absent" if fields is None else field in fields


def _stem(word: str) -> str:
    for ending in ("ing", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004 - leave something to compare
            return word[: -len(ending)]
    return word

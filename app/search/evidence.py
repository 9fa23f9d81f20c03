"""Evidence: which phrases of a description speak for a query and, for an explanation, how much of the score is theirs.

The ranker lets each word of a query look for its best match among the words of a description. A phrase's share is the
part of that score which its words won; shares of one image add up to 1 at most.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.search.marks import Marks, marks, most_in_common
from indexer.structure.structure import told
from scenes.answer import Evidence
from scenes.content_words import content_words
from scenes.description import SceneDescription
from scenes.fields import said
from scenes.wording import object_phrase, people_phrase, relation_phrase

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_MOST = 5
_TELLING = 0.2
"""A phrase that won so much is told even where it shares no word with the query."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of a description, ready to be evidence: its content words, where it stands in the text that is embedded,
    and `unshared`, its JSON object where no share is told."""

    words: frozenset[str]
    begin: int
    end: int
    evidence: Evidence
    unshared: bytes


@dataclass(frozen=True, slots=True)
class Phrases:
    """`all` phrases in the order of the text; `marks` are their content words."""

    all: tuple[Phrase, ...]
    marks: Marks

    @classmethod
    def of(cls, phrases: Sequence[Phrase]) -> "Phrases":
        return cls(tuple(phrases), marks([phrase.words for phrase in phrases]))


@dataclass(frozen=True, slots=True)
class Told:
    """A phrase that is evidence, and its share."""

    phrase: Phrase
    share: float | None

    @property
    def evidence(self) -> Evidence:
        return self.phrase.evidence.model_copy(update={"share": self.share})


def prepared(description: SceneDescription, fields: tuple[str, ...] | None = None) -> Phrases:
    """Every phrase of a description, or of these fields of it, that has content words, in the order of the text.

    What is absent from an image is evidence only where it is asked for by name. Of a plain text's other fields the
    phrases are those that are read from it, and point into what is read.
    """
    scene = description if fields is None else told(description, fields)
    text, at, found = said(scene), 0, []
    for field, unstripped in phrases(scene):
        phrase = unstripped.strip()  # as a sentence is worded: characters that part fields may stand around it
        begin = text.index(phrase, at)
        at = begin + len(phrase)
        words = content_words(phrase)
        if words and (fields is not None or not field.startswith("/absent")):
            found.append(_phrase(words, begin, Evidence(field=field, phrase=phrase)))
    return Phrases.of(found)


def chosen(phrases: Phrases, wanted: frozenset[str], shares: Sequence[float] | None = None) -> tuple[Told, ...]:
    """The phrases that won the largest shares, at most five: those that share content words with those wanted, and
    those that won a fifth or more. Without shares, those that have the most words in common."""
    if shares is None:
        return tuple(Told(phrase, None) for phrase in in_common([phrases], wanted)[0])
    won = [
        (share, phrase)
        for share, phrase in zip(shares, phrases.all, strict=True)
        if share >= _TELLING or not wanted.isdisjoint(phrase.words)
    ]
    won.sort(key=lambda one: -one[0])
    return tuple(Told(phrase, share) for share, phrase in won[:_MOST])


def in_common(images: Sequence[Phrases], wanted: frozenset[str]) -> list[tuple[Phrase, ...]]:
    """Of each image the phrases that have the most content words in common with those wanted, at most five."""
    found = most_in_common([phrases.marks for phrases in images], wanted, _MOST)
    return [tuple([phrases.all[place] for place in places]) for phrases, places in zip(images, found, strict=True)]


def phrases(description: SceneDescription) -> Iterator[tuple[str, str]]:
    """Every phrase of a description with its JSON Pointer, in the order of its wording."""
    if description.summary:
        yield "/summary", description.summary
    yield from (("/detail", sentence) for sentence in _SENTENCE.split(description.detail) if sentence)
    yield from ((f"/objects/{i}", object_phrase(thing)) for i, thing in enumerate(description.objects))
    yield from ((f"/relations/{i}", relation_phrase(one)) for i, one in enumerate(description.relations))
    yield from ((f"/actions/{i}", phrase) for i, phrase in enumerate(description.actions))
    yield from ((f"/people/{i}", people_phrase(group)) for i, group in enumerate(description.people))
    yield from ((f"/setting/{field}", phrase) for field, phrase in description.setting if phrase)
    yield from ((f"/visible_text/{i}", phrase) for i, phrase in enumerate(description.visible_text))
    yield from ((f"/{field}", phrase) for field in ("style", "medium") if (phrase := getattr(description, field)))
    yield from ((f"/absent/{i}", phrase) for i, phrase in enumerate(description.absent))


def _phrase(words: frozenset[str], begin: int, evidence: Evidence) -> Phrase:
    return Phrase(words, begin, begin + len(evidence.phrase), evidence, evidence.model_dump_json().encode())

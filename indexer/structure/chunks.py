"""Noun phrases: where they stand, and what each says of its thing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from indexer.structure.kinds import (
    BEFORE_PLACES,
    COLOURS,
    DEFINITE,
    MANY,
    MEASURES,
    MEDIA,
    MOVERS,
    OTHER,
    PAIRS,
    PEOPLE,
    PLACES_WITHIN,
    VAGUE,
    VIEWS,
)
from indexer.structure.modifiers import modifiers, position
from indexer.structure.words import singular
from scenes.description import Position

_MODIFIER = (
    r"(?:R?[JC]|(?:(?<=[DJC])R?[EG]|(?<=[I'])[EG]|(?<=[,&])E|(?<![A-Z,&'])E)(?=R?[JNS]|,?&R?[JE])"
    r"|(?<=[JE])(?:,&?|&)(?=R?[JE]))"
)
"""No letter fits two of these alternatives at one place: else a sentence could take time without end."""
_PHRASE = re.compile(rf"D*{_MODIFIER}*[NS]+|P")
_SINGLE = frozenset(["a", "an"])
_OWNS = frozenset(["'", "’", "'s", "’s"])


@dataclass(frozen=True, slots=True)
class Chunk:
    """One noun phrase, the words `begin` to `end` of its sentence; `phrase` is it without its determiner.

    A pronoun has no name. `bare`: without determiner and number. `vague` phrases name no thing of their own: 'the
    image', 'the left side'.
    """

    begin: int
    end: int
    phrase: str
    name: str = ""
    plural: bool = False
    count: int | None = None
    attributes: tuple[str, ...] = ()
    colour: str | None = None
    definite: bool = False
    bare: bool = False
    absent: bool = False
    vague: bool = False
    position: Position | None = None
    medium: str | None = None
    owner: "Chunk | None" = None

    @property
    def head(self) -> str:
        return self.name.rpartition(" ")[2]

    @property
    def person(self) -> bool:
        return self.head in PEOPLE

    @property
    def moves(self) -> bool:
        """Can it do things?"""
        return self.person or self.head in MOVERS


def chunks(low: Sequence[str], tags: str) -> list[Chunk]:
    """The noun phrases of a sentence in order, those of measures and places joined with what they are of."""
    found = [_chunk(low, tags, match.start(), match.end()) for match in _PHRASE.finditer(tags)]
    return list(_joined(found, low))


def _joined(found: Sequence[Chunk], low: Sequence[str]) -> Iterator[Chunk]:
    """'a group of people' is people; 'front' in 'in front of a house' is no phrase; nor is 'the image' in 'the left of
    the image'."""
    held: Chunk | None = None
    for place, one in enumerate(found):
        now = _behind(held, one, low) if held else one
        held = None
        then = found[place + 1] if place + 1 < len(found) else None
        if then is not None and then.begin == now.end + 1 and low[now.end] in _OWNS:
            held = now
        elif then is None or then.begin != now.end + 1 or low[now.end] not in ("of", "to"):
            yield now
        elif now.head in MEASURES or now.head in VIEWS or (now.head in PLACES_WITHIN and then.head in VIEWS):
            held = now
        elif now.head not in PLACES_WITHIN or not now.begin or low[now.begin - 1] not in BEFORE_PLACES:
            yield now
    if held:
        yield held


def _behind(first: Chunk, then: Chunk, low: Sequence[str]) -> Chunk:
    if low[first.end] in _OWNS:
        return replace(then, begin=first.begin, owner=first, definite=True)
    if first.head in PLACES_WITHIN:
        return replace(first, end=then.end)
    count = 2 if first.head in PAIRS and then.plural else then.count
    medium = first.phrase if first.head in MEDIA else first.medium
    return replace(then, begin=first.begin, count=count, medium=medium, absent=first.absent or then.absent)


def _chunk(low: Sequence[str], tags: str, begin: int, end: int) -> Chunk:
    if tags[begin] == "P":
        return Chunk(begin, end, low[begin], plural=low[begin] in MANY)
    start = begin
    while tags[start] == "D":
        start += 1
    at = _name_at(low, tags, start, end)
    name, plural = " ".join([*low[at : end - 1], _head(low[end - 1], tags[end - 1])]), tags[end - 1] == "S"
    determiners = frozenset(low[begin:start])
    counted, attributes, colour = modifiers(low[start:at], tags[start:at])
    phrase = " ".join(low[start:end]).replace(" ,", ",")
    vague = name.rpartition(" ")[2] in VAGUE and name not in PEOPLE
    return Chunk(
        begin,
        end,
        phrase,
        name,
        plural,
        _count(determiners, plural) if counted is None else counted,
        attributes,
        colour,
        definite=not determiners.isdisjoint(DEFINITE) and OTHER.isdisjoint(low[start:at]),
        bare=not determiners and counted is None,
        absent="no" in determiners,
        vague=vague,
        position=position(low[start:end]) if vague else None,
        medium=phrase if name in MEDIA and phrase != name else None,
    )


def _count(determiners: frozenset[str], plural: bool) -> int | None:
    if "both" in determiners:
        return 2
    return None if plural or determiners.isdisjoint(_SINGLE) else 1


def _head(word: str, tag: str) -> str:
    return singular(word) if tag == "S" else word


def _name_at(low: Sequence[str], tags: str, start: int, end: int) -> int:
    """Where the name begins: the last noun and the nouns before it, but no colours."""
    at = end - 1
    while at > start and tags[at - 1] in "NS" and low[at - 1] not in COLOURS:
        at -= 1
    return at

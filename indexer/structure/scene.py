"""What a text has said so far: its things, who does what, and how things stand to each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from indexer.structure.chunks import Chunk
from indexer.structure.kinds import CLOTHES, COLOURS, EMPTY, MANY, ONE, SCENES, SHE_OR_HE
from scenes.description import Position

_INDOORS = ("in", "at", "on", "inside", "of", "along", "through")
_WEARS = frozenset(["wearing", "wears", "wear", "dressed", "clad", "in"])
_ANYONE = frozenset(["person", "individual"])


@dataclass(slots=True, eq=False)
class Thing:
    """One thing of the scene, all that was said of it together."""

    chunk: Chunk
    count: int | None
    attributes: list[str]
    colour: str | None
    position: Position | None = None
    wears: list[str] = field(default_factory=list)
    does: str | None = None

    @classmethod
    def of(cls, chunk: Chunk) -> "Thing":
        return cls(chunk, chunk.count, list(chunk.attributes), chunk.colour)

    def again(self, chunk: Chunk) -> None:
        """It is named once more."""
        self.attributes += [word for word in chunk.attributes if word not in self.attributes]
        self.colour = self.colour or chunk.colour
        self.count = self.count or (chunk.count if chunk.plural else None)

    def is_like(self, words: Iterable[str]) -> None:
        """Adjectives are said of it."""
        for word in words:
            if word in COLOURS and self.colour is None:
                self.colour = word
            elif word not in COLOURS and word not in self.attributes and word not in EMPTY:
                self.attributes.append(word)


@dataclass(slots=True)
class Scene:
    """Things in the order in which they were first named."""

    things: list[Thing] = field(default_factory=list)
    relations: dict[tuple[str, str, str], None] = field(default_factory=dict)
    actions: dict[str, None] = field(default_factory=dict)
    absent: dict[str, None] = field(default_factory=dict)
    place: str | None = None
    medium: str | None = None
    topic: Thing | None = None

    def met(self, chunk: Chunk, subject: Thing | None = None) -> Thing | None:
        """The thing that a phrase names, None for a pronoun that names none yet; a pronoun under a verb or preposition
        never means that one's subject, any other rather the `topic`."""
        if not chunk.name:
            return self._meant(chunk.phrase, subject)
        known = self._known(chunk) if chunk.definite else None
        if known is not None:
            known.again(chunk)
            return known
        thing = Thing.of(chunk)
        if not chunk.vague:
            self.things.append(thing)
        self.medium = self.medium or chunk.medium
        return thing

    def relates(self, subject: Thing, predicate: Sequence[str], thing: Thing) -> None:
        """The subject stands so to a thing."""
        words = " ".join(predicate)
        if subject.chunk.person and predicate[0] in _WEARS and thing.chunk.head in CLOTHES:
            subject.wears.append(thing.chunk.phrase)
        if thing.chunk.vague and thing.chunk.position and subject.position is None:
            subject.position = thing.chunk.position
        if self.place is None and predicate[-1] in _INDOORS and thing.chunk.head in SCENES:
            self.place = thing.chunk.phrase
        if subject is not thing and not subject.chunk.vague and not thing.chunk.vague:
            self.relations[subject.chunk.phrase, words, thing.chunk.phrase] = None

    def does(self, subject: Thing, predicate: Sequence[str], thing: Thing | None = None) -> None:
        """The subject acts."""
        if subject.chunk.vague:
            return
        doing = " ".join([*predicate, *([thing.chunk.phrase] if thing is not None else [])])
        if predicate[0] not in _WEARS:
            subject.does = subject.does or doing
        self.actions[f"{subject.chunk.phrase} {doing}"] = None

    def _known(self, chunk: Chunk) -> Thing | None:
        for thing in reversed(self.things):
            same = thing.chunk.name == chunk.name and thing.chunk.plural == chunk.plural
            if same and not (thing.colour and chunk.colour and thing.colour != chunk.colour):
                return thing
        if chunk.name in _ANYONE and not chunk.plural:
            return next((one for one in reversed(self.things) if one.chunk.person and not one.chunk.plural), None)
        return None

    def _meant(self, pronoun: str, subject: Thing | None) -> Thing | None:
        near = [] if self.topic is None or subject is not None else [self.topic]
        candidates = [thing for thing in (*near, *reversed(self.things)) if thing is not subject]
        called = [thing for thing in candidates if _may_be_called(thing, pronoun)]
        alive = (thing for thing in called if thing.chunk.moves)
        return next(alive, called[0] if called else None) if pronoun in MANY else called[0] if called else None


def _may_be_called(thing: Thing, pronoun: str) -> bool:
    many = thing.chunk.plural or (thing.count or 1) > 1
    if pronoun in MANY:
        return many
    return not many and ((pronoun in SHE_OR_HE and thing.chunk.person) or (pronoun in ONE and not thing.chunk.person))

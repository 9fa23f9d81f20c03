"""One sentence after the other: who is the subject of what, by where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from indexer.structure.chunks import Chunk, chunks
from indexer.structure.kinds import NO_ACTION
from indexer.structure.links import Link, read_link, retagged
from indexer.structure.scene import Scene, Thing
from indexer.structure.tagging import Tagger

_Role = tuple[list[Thing], list[str]]


@dataclass(slots=True)
class Reading:
    """Reads one sentence into a scene.

    `subjects` are those of the clause, `group` the things named last, together; `role` is what the group is to others;
    `said` are all things of the sentence; `acted`: there was a verb.
    """

    scene: Scene
    subjects: list[Thing] = field(default_factory=list)
    group: list[Thing] = field(default_factory=list)
    role: _Role | None = None
    said: list[Thing] = field(default_factory=list)
    acted: bool = False
    denied: bool = False
    where: Chunk | None = None

    def read(self, low: Sequence[str], tags: str) -> None:
        """All of the sentence; `tags` as `retagged` has them."""
        found = chunks(low, tags)
        ends = [*(one.begin for one in found), len(low)]
        links = [read_link(low[a:b], tags[a:b]) for a, b in zip([0, *(one.end for one in found)], ends, strict=True)]
        for chunk, link, then in zip(found, links, links[1:], strict=False):
            self._led(link)
            self._named(chunk, link, then)
        self._led(links[-1])
        self._acts(links[-1], links[-1].verb, links[-1].predicate)

    def _led(self, link: Link) -> None:
        """What the words before a phrase say of the things before it."""
        for verb, predicate in link.before:
            self._acts(link, verb, predicate)
        if link.qualities and not link.negated and (link.finite or link.relative):
            for thing in self._subjects(link, "V"):
                thing.is_like(link.qualities)

    def _acts(self, link: Link, verb: str, predicate: Sequence[str]) -> None:
        if verb in ("V", "G", "E") and not link.negated:
            for thing in self._subjects(link, verb):
                self.scene.does(thing, predicate)

    def _named(self, chunk: Chunk, link: Link, then: Link) -> None:
        if self._absent(chunk, link):
            self._deny(chunk)
            return
        self.denied = False
        if chunk.owner is not None:
            self.scene.met(chunk.owner)
        self.acted = self.acted or link.finite or bool(link.before) or link.verb in ("V", "G", "E")
        alone = link.joins and not link.relative
        opens = not self.said or link.clause or (alone and bool(self.group) and self._is_subject(chunk, link, then))
        subjects = [] if not link.predicate else self._subjects(link, link.verb)
        if not chunk.name and link.verb == "I":
            subjects = subjects[-1:]
        thing = self.scene.met(chunk, subjects[0] if subjects else None)
        if thing is None:
            self.group, self.role = [], None
            return
        self._placed(chunk, thing)
        if link.predicate:
            self._led_to(link, subjects, thing)
        elif alone and not opens:
            self._joined(thing)
        else:
            self._begins(thing, link, opens)
        self.said.append(thing)

    def _led_to(self, link: Link, subjects: Sequence[Thing], thing: Thing) -> None:
        """A verb or a preposition leads to a thing."""
        for subject in subjects:
            self.scene.relates(subject, link.predicate, thing)
            if link.verb != "I" and link.predicate[0] not in NO_ACTION:
                self.scene.does(subject, link.predicate, thing)
        self.group, self.role = [thing], (list(subjects), link.predicate)
        if subjects and all(one.chunk.vague for one in subjects) and link.verb == "V" and len(link.predicate) == 1:
            self.subjects = [thing]
            self.scene.topic = thing

    def _joined(self, thing: Thing) -> None:
        """A comma or a conjunction leads to a thing: it is to others what the one before is."""
        if self.role is not None:
            for subject in self.role[0]:
                self.scene.relates(subject, self.role[1], thing)
        if self.group and self.group[-1] in self.subjects:
            self.subjects.append(thing)
        self.group.append(thing)

    def _begins(self, thing: Thing, link: Link, opens: bool) -> None:
        """A thing that nothing leads to: the subject of a clause, or what there is."""
        self.group, self.role = [thing], None
        if opens or link.exists or not self.subjects or all(one.chunk.vague for one in self.subjects):
            self.subjects = [thing]
            self.scene.topic = thing if not thing.chunk.vague else self.scene.topic

    def _placed(self, chunk: Chunk, thing: Thing) -> None:
        """'On the left, there is a cat': the place is the cat's."""
        if chunk.vague and chunk.position and not self.said:
            self.where = chunk
        elif self.where is not None and not chunk.vague:
            thing.position = thing.position or self.where.position
            self.where = None

    def _subjects(self, link: Link, verb: str) -> list[Thing]:
        """Whose verb or preposition this is."""
        if link.relative:
            return self.group[-1:]
        if verb == "V" or link.finite or link.clause:
            return self.subjects or self.group
        if verb == "G":
            return self._mover(link)
        apart = link.comma and (verb == "E" or link.predicate[:1] == ["with"])
        return self.subjects if apart and self.subjects else self.group

    def _mover(self, link: Link) -> list[Thing]:
        """Who does what a verb in -ing says: the last named, if it can move, else the last before it that can."""
        if self.group and self.group[-1].chunk.moves and not link.comma:
            return self.group
        movers = [thing for thing in self.said if thing.chunk.moves]
        if movers and (self.role is not None or link.comma):
            return [thing for thing in self.subjects if thing.chunk.moves] or movers[-1:]
        return self.subjects if link.comma and self.subjects else self.group

    def _is_subject(self, chunk: Chunk, link: Link, then: Link) -> bool:
        """Does a new clause begin with this phrase, rather than that it joins those before it?"""
        if then.finite or then.clause:
            apart = self.acted or (chunk.moves and not self.group[-1].chunk.moves)
            return apart and not then.relative and not then.comma
        moved = self.role is not None and any(one.chunk.moves for one in self.role[0])
        return then.verb == "G" and moved and not link.comma and chunk.moves

    def _absent(self, chunk: Chunk, link: Link) -> bool:
        if chunk.absent or (link.negated and not chunk.vague and (link.exists or bool(link.predicate))):
            return bool(chunk.name)
        return self.denied and link.joins and bool(chunk.name) and (link.either or chunk.bare)

    def _deny(self, chunk: Chunk) -> None:
        self.denied = True
        if not chunk.vague:
            self.scene.absent[chunk.phrase.removeprefix("visible ")] = None


def read(words: Sequence[str], scene: Scene, tagger: Tagger) -> None:
    """Read one sentence."""
    low = [word.lower() for word in words]
    Reading(scene).read(low, retagged(low, tagger.tags(words)))

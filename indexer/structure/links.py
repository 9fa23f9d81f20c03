"""What stands between two noun phrases: verbs, prepositions, or only a comma."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from indexer.structure.kinds import (
    AUXILIARIES,
    BEFORE_PLACES,
    CLAUSE_MARKS,
    COLOURS,
    COPULAS,
    EXAMPLES,
    NEGATIONS,
    NO_RELATION,
    PARTICLES,
    PLACES_WITHIN,
)

_PAIRS = frozenset(
    [
        ("adjacent", "to"), ("close", "to"), ("next", "to"), ("prior", "to"), ("such", "as"), ("along", "with"),
        ("instead", "of"), ("inside", "of"), ("outside", "of"), ("because", "of"), ("due", "to"), ("parallel", "to"),
        ("full", "of"), ("similar", "to"), ("opposite", "to"), ("ready", "to"), ("ahead", "of"), ("out", "of"),
    ]
)  # fmt: skip


_COVERED = frozenset(["covered", "filled", "lined", "shaped", "topped"])
"""'snow covered' before a noun is one adjective."""


@dataclass(slots=True)
class Link:
    """`before` are verbs that end here without an object; `predicate` is what leads to the next phrase.

    `verb` is the kind of its first word: V finite (or with an auxiliary), G, E, I, or nothing where there is no
    predicate. `joins`: only a comma or a conjunction stands here. `qualities` are adjectives said of the subject.
    """

    before: list[tuple[str, list[str]]] = field(default_factory=list)
    predicate: list[str] = field(default_factory=list)
    verb: str = ""
    finite: bool = False
    relative: bool = False
    negated: bool = False
    comma: bool = False
    clause: bool = False
    exists: bool = False
    joins: bool = True
    either: bool = False
    qualities: list[str] = field(default_factory=list)

    def add(self, word: str, tag: str) -> None:
        """One more word."""
        if tag in ',&"':
            self._mark(word, tag)
            return
        self.joins = self.joins and tag == "R" and word not in NEGATIONS
        if word in NEGATIONS or word.endswith(("n't", "n’t")):
            self.negated = True
        if tag in "VGE":
            self._verb(word, tag)
        elif tag == "I" or (self.predicate and (word in PARTICLES or tag in "NS" or self._in_place(tag))):
            self.predicate.append(word)
            self.verb = self.verb or "I"
        else:
            self._other(word, tag)

    def _in_place(self, tag: str) -> bool:
        """The article of 'to the left of'."""
        return tag == "D" and self.predicate[-1] in BEFORE_PLACES

    def _mark(self, word: str, tag: str) -> None:
        self.comma = self.comma or tag != "&"
        self.either = self.either or word in ("or", "nor")
        if self.predicate and self.verb != "I":
            self.before.append((self.verb, self.predicate))
            self.predicate, self.verb, self.joins = [], "", True

    def _verb(self, word: str, tag: str) -> None:
        if word in AUXILIARIES and (tag == "V" or word in COPULAS):
            self.finite = True
            if word in ("has", "have", "had"):
                self.predicate, self.verb = [word], "V"
            return
        if self.verb == "V" and tag in "EG" and self.predicate[0] in ("has", "have", "had"):
            self.predicate = []
        if self.predicate and self.verb in ("G", "E", "V") and self.predicate[-1] != "to":
            self.before.append((self.verb, self.predicate))
            self.predicate = []
        if len(self.predicate) > 1 and self.predicate[-1] == "to":
            self.predicate.append(word)
            return
        self.verb = "V" if self.finite or tag == "V" else tag
        self.finite = self.finite or tag == "V"
        self.predicate = [word]

    def _other(self, word: str, tag: str) -> None:
        if tag == "W":
            self.relative = True
        elif tag == "X":
            self.exists = True
        elif tag == "K":
            self.clause = True
        elif (tag == "J" or word in COLOURS) and self.finite and not self.predicate:
            self.qualities.append(word)


def read_link(low: Sequence[str], tags: str) -> Link:
    """The link that these words are."""
    link = Link()
    for word, tag in zip(low, tags, strict=True):
        link.add(word, tag)
    if link.predicate and link.predicate[0] in NO_RELATION:
        link.joins = link.predicate[0] in EXAMPLES
        link.predicate, link.verb = [], ""
    return link


def retagged(low: Sequence[str], tags: str) -> str:
    """The tags as the rules want them: `K` opens a clause, colours before nouns are adjectives."""
    found = list(tags)
    for place in range(len(low) - 1, -1, -1):
        word, after = low[place], low[place + 1] if place + 1 < len(low) else ""
        if (word, after) in _PAIRS:
            found[place] = found[place + 1] = "I"
        elif word in CLAUSE_MARKS and found[place] != "&":
            found[place] = "K"
        elif _is_adjective(word, found, place):
            found[place] = "J"
        elif word in PLACES_WITHIN and found[place - 1 : place] == ["D"] and not _before_noun(found, place):
            found[place] = "N"
        elif word in _COVERED and place and found[place - 1] == "N" and _before_noun(found, place):
            found[place - 1 : place + 1] = "RJ"
    return "".join(found)


def _is_adjective(word: str, tags: Sequence[str], place: int) -> bool:
    if "-" in word and tags[place] in "EG":
        return tags[place + 1 : place + 2] != ["I"]
    return word in COLOURS and tags[place] in "NSVGE" and _before_noun(tags, place)


def _before_noun(tags: Sequence[str], place: int) -> bool:
    after = "".join(tags[place + 1 : place + 3])
    return after[:1] in ("J", "N", "S", "C") or (after[:1] in ("&", ",") and after[1:] == "J")

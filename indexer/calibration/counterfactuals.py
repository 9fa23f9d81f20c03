"""Rule-made counterfactuals: the same edit in a query and in its description gives a pair of another, similar world.

Each pair then serves as the other's hard negative in both directions, so that nothing can be learnt from a query
alone (SVLC of Doveh et al. 2023 edits the caption only; editing both sides removes the prior of odd captions).
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from indexer.calibration.vocabulary import said_words
from indexer.structure.words import singular

_T = TypeVar("_T")

Pair = tuple[str, str]
"""A query and a description."""

_COLOURS = [
    "red",
    "blue",
    "green",
    "yellow",
    "black",
    "white",
    "brown",
    "orange",
    "pink",
    "purple",
    "gray",
    "grey",
    "silver",
    "gold",
    "tan",
    "beige",
]
_SIZES = ["large", "small", "big", "little", "huge", "tiny", "tall", "short", "long"]
_MATERIALS = ["wooden", "metal", "plastic", "glass", "stone", "brick", "leather", "concrete"]
_STATES = [
    "striped",
    "spotted",
    "plaid",
    "floral",
    "checkered",
    "furry",
    "fluffy",
    "shiny",
    "rusty",
    "dirty",
    "clean",
    "wet",
    "dry",
    "old",
    "new",
    "young",
    "empty",
    "full",
    "open",
    "closed",
    "colorful",
    "snowy",
    "grassy",
    "sandy",
    "rocky",
    "broken",
    "sliced",
    "ripe",
    "fresh",
]
ATTRIBUTES = (_COLOURS, _SIZES, _MATERIALS, _STATES)
NUMBERS = ("two", "three", "four", "five", "six")
_OPPOSITES = (
    ("on top of", "underneath"), ("in front of", "behind"), ("on", "under"), ("above", "below"), ("left", "right"),
    ("inside", "outside"), ("into", "out of"), ("up", "down"), ("near", "far from"), ("next to", "on top of"),
    ("holding", "dropping"), ("sitting", "standing"), ("walking", "running"), ("riding", "pushing"),
    ("eating", "cooking"), ("lying", "standing"), ("looking at", "turning away from"), ("with", "without"),
    ("flying", "falling"), ("throwing", "catching"), ("wearing", "holding"), ("through", "around"),
)  # fmt: skip
RELATIONS = tuple((one, other) for pair in _OPPOSITES for one, other in (pair, pair[::-1]))
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Counterfactuals:
    """Makes counterfactual pairs; `stand_ins` says what may replace a noun."""

    stand_ins: Mapping[str, tuple[str, ...]]

    def of(self, pair: Pair, rng: random.Random) -> Pair | None:
        """A pair that differs in both texts by one edit, None where no rule applies."""
        for _ in range(_TRIES):
            (edit,) = rng.choices(list(self._edits()), list(self._edits().values()))
            edited = edit(*pair, rng)
            if edited is not None and edited[0] != pair[0] and edited[1] != pair[1]:
                return edited
        return None

    def _edits(self) -> "dict[Callable[[str, str, random.Random], Pair | None], int]":
        """The rules and how often each is tried."""
        return {
            self.replace_object: 3,
            self.replace_attribute: 3,
            self.replace_relation: 3,
            self.swap_objects: 4,
            self.swap_attributes: 6,
            self.add_attribute: 2,
            self.add_object: 2,
            self.replace_count: 1,
        }

    def replace_object(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a dog on a mat' → 'a cat on a mat'."""
        shared = [noun for noun in self._nouns(query) if noun in {singular(word) for word in said_words(text)}]
        noun = _any(shared, rng)
        other = _any(self.stand_ins[noun], rng) if noun else None
        if noun is None or other is None or other in said_words(query + " " + text):
            return None
        return _both(query, text, {noun: other, f"{noun}s": f"{other}s"})

    def replace_attribute(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a red bus' → 'a green bus'."""
        said, described = said_words(query), said_words(text)
        options = [(word, kind) for kind in ATTRIBUTES for word in kind if word in said and word in described]
        chosen = _any(options, rng)
        if chosen is None:
            return None
        word, kind = chosen
        other = _any([one for one in kind if one not in said and one not in described], rng)
        return None if other is None else _both(query, text, {word: other})

    def replace_relation(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a cat on a car' → 'a cat under a car'."""
        padded, described = (f" {' '.join(said_words(one))} " for one in (query, text))
        chosen = _any([pair for pair in RELATIONS if f" {pair[0]} " in padded and f" {pair[0]} " in described], rng)
        return None if chosen is None else _both(query, text, dict([chosen]))

    def swap_objects(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a dog chases a cat' → 'a cat chases a dog'."""
        nouns = self._nouns(query)
        if len(nouns) < 2:  # noqa: PLR2004 - a swap needs two
            return None
        one, other = rng.sample(nouns, 2)
        return _both(query, text, {one: other, other: one, f"{one}s": f"{other}s", f"{other}s": f"{one}s"})

    def swap_attributes(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a red bus and a blue car' → 'a blue bus and a red car'."""
        said = said_words(query)
        attributes = [word for kind in ATTRIBUTES for word in kind if word in said]
        if len(attributes) < 2:  # noqa: PLR2004 - a swap needs two
            return None
        one, other = rng.sample(attributes, 2)
        return _both(query, text, {one: other, other: one})

    def add_attribute(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a bus' → 'a rusty bus'."""
        words = said_words(text)
        noun = _any([noun for noun in self._nouns(query) if noun in words], rng)
        attribute = rng.choice(rng.choice(ATTRIBUTES))
        if noun is None or attribute in words or attribute in said_words(query):
            return None
        return _both(query, text, {noun: f"{attribute} {noun}"})

    def add_object(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'a bus' → 'a bus next to a dog'."""
        noun = _any(sorted(self.stand_ins), rng)
        if noun is None or noun in said_words(query + " " + text):
            return None
        article = rng.choice(("a ", "the ", "some ", ""))
        added = rng.choice((f" and {article}{noun}", f" with {article}{noun}", f" next to {article}{noun}"))
        sentences = text.split(". ")
        place = rng.randrange(len(sentences))
        sentences[place] = sentences[place].rstrip(" .") + added
        return f"{query.rstrip(' .')}{added}.", ". ".join(sentences)

    def replace_count(self, query: str, text: str, rng: random.Random) -> Pair | None:
        """'two dogs' → 'three dogs'."""
        said, described = said_words(query), said_words(text)
        number = _any([one for one in NUMBERS if one in said and one in described], rng)
        return None if number is None else _both(query, text, {number: rng.choice([n for n in NUMBERS if n != number])})

    def _nouns(self, text: str) -> list[str]:
        return list(dict.fromkeys(noun for noun in map(singular, said_words(text)) if noun in self.stand_ins))


def _both(query: str, text: str, words: Mapping[str, str]) -> Pair:
    """All replacements at once in both texts, whole words only."""
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)

    def edited(one: str) -> str:
        return pattern.sub(lambda match: words[match.group(1).lower()], one)

    return edited(query), edited(text)


def _any(options: Sequence[_T], rng: random.Random) -> _T | None:
    return rng.choice(options) if options else None

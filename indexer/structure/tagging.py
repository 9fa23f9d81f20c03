"""What each word of a sentence is, one letter each.

`tags.json` was distilled from spaCy's tagger by `indexer/calibration/taught_tags.py`: words that are nearly always one
thing are looked up; for all others an averaged perceptron decides by the word, its endings and its neighbours.

Letters: N noun, S plural noun, J adjective, C number, D determiner or possessive pronoun, P pronoun, X existential
`there`, W relative pronoun, V finite verb, G verb in -ing, E participle, R adverb or particle, I preposition,
& conjunction, ' possessive, `,` and `"` marks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("tags.json")
TAGS = "NSJCDPXWVGER&I"
_OPEN, _OPEN_PLURAL = "NSJGERVC", "SVJRC"
_MARKS = {",": ",", "&": "&", "'s": "'", "’s": "'", "'": "'", "’": "'", "#": '"'}


@dataclass(frozen=True, slots=True)
class Tagger:
    """`words`: what each known word may be; `weights`: for each trait of a place, votes by tag."""

    words: Mapping[str, str]
    weights: Mapping[str, Mapping[str, int]]

    def tags(self, words: Sequence[str]) -> str:
        """One letter for each word of a sentence."""
        low = [word.lower() for word in words]
        may = [may_be(word, self.words) for word in low]
        found = ""
        for place, options in enumerate(may):
            found += options if len(options) == 1 else self.decided(low, may, found, place)
        return found

    def decided(self, low: Sequence[str], may: Sequence[str], before: str, place: int) -> str:
        """The tag of one word among those that each `may` have; `before` are the tags decided so far."""
        votes = dict.fromkeys(may[place], 0)
        for trait in traits(low, may, before, place):
            for tag, weight in self.weights.get(trait, _NONE).items():
                if tag in votes:
                    votes[tag] += weight
        return max(votes, key=votes.__getitem__)


_NONE: Mapping[str, int] = {}


def may_be(word: str, known: Mapping[str, str]) -> str:
    """The tags that a word in small letters may have, the likeliest first."""
    options = known.get(word)
    if options is not None:
        return options
    if not word[0].isalnum():
        return _MARKS.get(word, '"')
    if word[0].isdigit() and word.replace(",", "").replace(".", "").isdigit():
        return "C"
    return _OPEN_PLURAL if word.endswith("s") and not word.endswith(("ss", "us", "is")) else _OPEN


def traits(low: Sequence[str], may: Sequence[str], before: str, place: int) -> tuple[str, ...]:
    """What is seen at one place of a sentence; `before` are the tags decided so far."""
    word = low[place]
    last = before[-1:] or "^"
    two = before[-2:] or "^"
    then, ahead = (low[place + 1], may[place + 1]) if place + 1 < len(low) else ("$", "$")
    return (
        may[place],
        f"w{word}",
        f"w{last}{word}",
        f"3{word[-3:]}",
        f"2{word[-2:]}",
        f"l{last}{word[-2:]}",
        f"t{two}",
        f"p{low[place - 1] if place else '^'}",
        f"n{then}",
        f"a{ahead}",
        f"b{last}{ahead}",
        f"h{'-' in word}",
    )


@cache
def tagger() -> Tagger:
    """The tagger that ships."""
    body = json.loads(DATA.read_text())
    return Tagger(body["words"], body["weights"])

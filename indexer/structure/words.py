"""A text as sentences of words."""

import re
from collections.abc import Iterator

from indexer.structure.kinds import PLURAL_ONLY, SINGULARS

LONGEST = 200
_TOKEN = re.compile(
    r"['’]s\b|[^\W_]+(?:[-.'’](?!s\b)[^\W_]+)*|[.!?]+|(?<=:)[^\S\n]*\n|\n(?=[^\S\n]*(?:\n|[-*•]\s))|[^\w\s]|_+"
)
"""A line's end is one of a sentence before an empty line or a list's next item, and after a colon."""
_ENDS = frozenset(".!?\n")
_ABBREVIATIONS = frozenset(["mr", "mrs", "ms", "dr", "st", "u.s"])
_ES = ("sses", "xes", "ches", "shes", "zzes", "oes")


def sentences(text: str) -> Iterator[list[str]]:
    """The words and marks of each sentence, in order; a possessive's `'s` and each mark is a word of its own. What goes
    on for more than `LONGEST` words is cut."""
    words: list[str] = []
    for word in _TOKEN.findall(text):
        ends = word[-1] in _ENDS
        if not ends:
            words.append(word)
        elif word == "." and words and words[-1].lower() in _ABBREVIATIONS:
            continue
        if words and (ends or len(words) == LONGEST):
            yield words
            words = []
    if words:
        yield words


def singular(word: str) -> str:
    """The singular of an English plural in small letters; a word that is none stays."""
    for begin in ("grand", "police", "fire", "snow", "sports", "business", "wo", ""):
        rest = word.removeprefix(begin)
        if rest in SINGULARS and (begin or rest == word):
            return word[: len(word) - len(rest)] + SINGULARS[rest]
    if word in PLURAL_ONLY or not word.endswith("s") or word.endswith(("ss", "us", "is")) or len(word) < 4:  # noqa: PLR2004
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(_ES) else word[:-1]

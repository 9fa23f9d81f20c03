"""Content words: the stems of a text's words, without those that say nothing alone."""

import re

_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = """
a an and are as at by for from in into is it its of on or over s that the there this to under was with
"""
_STOP = frozenset(_STOP_WORDS.split())
_LEAST_STEM = 3


def content_words(text: str) -> frozenset[str]:
    """Lower-case word stems of a text."""
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset([_stem(word) for word in words if word not in _STOP])


def _stem(word: str) -> str:
    for ending in ("ing", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return word[: -len(ending)]
    return word

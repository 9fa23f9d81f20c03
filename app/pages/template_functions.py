"""Functions that templates call: a probability in words, and the words of a query marked in a text."""

import re

from markupsafe import Markup, escape

from scenes.content_words import content_words

_WORD = re.compile(r"[^\W_]+")


def chance(probability: float) -> str:
    """'83 %', never '0 %' or '100 %': a model is never that sure."""
    percent = round(100 * probability)
    if percent < 1:
        return "< 1 %"
    return "> 99 %" if percent > 99 else f"{percent} %"  # noqa: PLR2004 - percent


def highlighted(text: str, query: str) -> Markup:
    """The text, escaped, with <mark> around every word that shares its stem with a word of the query."""
    wanted = content_words(query)
    parts, last = [], 0
    for word in _WORD.finditer(text):
        parts.append(escape(text[last : word.start()]))
        marked = content_words(word.group()) & wanted
        parts.append(Markup("<mark>{}</mark>").format(word.group()) if marked else escape(word.group()))
        last = word.end()
    return Markup("").join([*parts, escape(text[last:])])

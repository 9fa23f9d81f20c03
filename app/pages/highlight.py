"""Query words marked in a text."""

import re

from markupsafe import Markup, escape

from scenes.content_words import content_words

_WORD = re.compile(r"[^\W_]+")


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

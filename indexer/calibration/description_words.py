"""Words that descriptions use and captions hardly do, and what each may be: written down by hand, in the file beside
this one. A word that the training captions say often enough is left as they say it."""

import tomllib
from pathlib import Path

_FILE = Path(__file__).with_name("description_words.toml")


def known_words() -> dict[str, str]:
    """Tags by word, the likeliest first."""
    listed = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    known: dict[str, str] = {}
    for word in listed["names"].split():
        known |= {word: "N", plural(word): "S"}
    for word in listed["verbs"].split():
        known |= _forms(word, ("V", "V"))
    for word in listed["nouns_too"].split():
        known |= _forms(word, ("VN", "VS"))
    known |= dict.fromkeys(listed["adjectives"].split(), "J")
    for tag, words in listed["others"].items():
        for word in words.split():
            known[word] = tag + known.get(word, "").replace(tag, "")
    return known


def _forms(verb: str, plain: tuple[str, str]) -> dict[str, str]:
    stem = verb.removesuffix("e")
    return {verb: plain[0], plural(verb): plain[1], f"{stem}ing": "GNJ", f"{stem}ed": "EVJ"}


def plural(word: str) -> str:
    """The plural of a noun, which is the third person of a verb."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"

"""Words that descriptions use and captions hardly do, and what each may be: written down by hand, in the file beside
this one. A word that the training captions say often enough is left as they say it."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

_FILE = Path(__file__).with_name("description_words.toml")


def known_words() -> dict[str, str]:
    """Tags by word, the likeliest first."""
    listed = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    known: dict[str, str] = {}
    for word in listed["names"].split():
        known |= {word: "N", plural(word): "S"}
    for tags, name in ((("V", "V"), "verbs"), (("VN", "VS"), "nouns_too")):
        for word in listed[name].split():
            past = _past(word, listed["irregular"].get(word, "").split())
            known |= past | {plural(word): tags[1], _present(word): "GNJ"}
            known[word] = tags[0] + ("E" if word in past else "")
    known |= dict.fromkeys(listed["adjectives"].split(), "J")
    for tag, words in listed["others"].items():
        for word in words.split():
            known[word] = tag + known.get(word, "").replace(tag, "")
    return known


def _past(verb: str, irregular: Sequence[str]) -> dict[str, str]:
    """Its past and its participle."""
    if len(irregular) == 2:  # noqa: PLR2004
        return {irregular[0]: "V", irregular[1]: "EJ"}
    stem = f"{verb[:-1]}i" if _changes_y(verb) else verb.removesuffix("e")
    return {irregular[0] if irregular else f"{stem}ed": "EVJ"}


def _present(verb: str) -> str:
    """Its form in -ing."""
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    return f"{verb}king" if verb.endswith("ic") else f"{verb.removesuffix('e')}ing"


def plural(word: str) -> str:
    """The plural of a noun, which is the third person of a verb."""
    if _changes_y(word):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s"


def _changes_y(word: str) -> bool:
    return word.endswith("y") and word[-2:-1] not in tuple("aeiou")

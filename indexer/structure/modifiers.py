"""What stands before a name: how many, what they are like, their colour; and where in a picture a place is."""

from collections.abc import Sequence

from indexer.structure.kinds import COLOURS, EMPTY, NUMBERS, SHADES
from scenes.description import Position

_MOST_COUNTED = 100_000


def modifiers(words: Sequence[str], tags: str) -> tuple[int | None, tuple[str, ...], str | None]:
    """Count, attributes and colour of what stands before a name."""
    count: int | None = None
    attributes: list[str] = []
    colour: list[str] = []
    held: list[str] = []
    for place, (word, tag) in enumerate(zip(words, tags, strict=True)):
        after = words[place + 1] if place + 1 < len(words) else ""
        if word in COLOURS or (word in SHADES and after in COLOURS) or (tag == "&" and colour and after in COLOURS):
            colour.append(word)
        elif tag == "C" and (value := number(word)):
            count = value
        elif tag == "R":
            held.append(word)
        elif tag in "JEGNSC" and word not in EMPTY:
            attributes.append(" ".join([*held, word]))
            held = []
    return count, tuple(dict.fromkeys(attributes)), " ".join(colour) or None


def number(word: str) -> int | None:
    """How many a word says, where it is a number that can count things."""
    if word.isascii() and word.isdigit() and len(word) <= 6:  # noqa: PLR2004
        value = int(word)
        return value if 1 <= value <= _MOST_COUNTED else None
    return NUMBERS.get(word)


_ACROSS = {"left": "left", "right": "right"}
_UPRIGHT = {"top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom"}
_MIDDLE = frozenset(["center", "centre", "middle"])


def position(words: Sequence[str]) -> Position | None:
    """Where in the picture 'upper left corner' is."""
    up = next((_UPRIGHT[word] for word in words if word in _UPRIGHT), "")
    across = next((_ACROSS[word] for word in words if word in _ACROSS), "")
    where = f"{up} {across}".strip() or ("center" if any(word in _MIDDLE for word in words) else "")
    return where or None  # type: ignore[return-value]

"""What filters mean, in plain Python: the reference that the SQL of `scenes.catalog.filter_sql` has to agree with.

Words are plain ones here: runs of letters and digits.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any

from scenes.filtering import Absent, AllOf, AnyOf, Filter, IsOneOf, Not, Path, Says, Scalar, Within

BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_WORD = re.compile(r"[^\W_]+")


def matches(asked: Filter, document: Mapping[str, Any]) -> bool:
    """Does `{"metadata": …, "description": …}`, as it is stored, pass?"""
    match asked:
        case IsOneOf(path, values):
            wanted = {_comparable(value) for value in values}
            return any(_comparable(value) in wanted for value in _values(document, path))
        case Within(path, bounds):
            return any(_is_within(value, bounds) for value in _values(document, path))
        case Says(path, words):
            return any(_says(value, words) for value in _texts(_values(document, path)))
        case Absent(path):
            return all(value is None for value in _values(document, path))
        case Not(part):
            return not matches(part, document)
        case AllOf(parts) | AnyOf(parts):
            together = all if isinstance(asked, AllOf) else any
            return together(matches(part, document) for part in parts)


def _values(document: Mapping[str, Any], path: Path) -> list[Any]:
    """All values at a path; a list stands for its elements, before a step and at the end."""
    found: list[Any] = [document.get(path[0])]
    for step in path[1:]:
        found = [value[step] for value in _elements(found) if isinstance(value, dict) and step in value]
    return _elements(found)


def _elements(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _texts(values: list[Any]) -> Iterator[str]:
    """All texts among values and within them."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (dict, list)):
            yield from _texts(list(value.values()) if isinstance(value, dict) else value)


def _says(text: str, words: str) -> bool:
    said, wanted = _WORD.findall(text.lower()), _WORD.findall(words.lower())
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


def _comparable(value: Any) -> tuple[str, Any]:
    """A value with the name of its type; numbers as written, so that 0.1 is one tenth."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", Decimal(repr(value))
    if isinstance(value, (str, bool)):
        return type(value).__name__, value
    return "other", None


def _is_within(value: Any, bounds: tuple[tuple[str, Scalar], ...]) -> bool:
    kind, one = _comparable(value)
    for name, bound in bounds:
        wanted, other = _comparable(bound)
        if kind != wanted or not BOUNDS[name](one, other):
            return False
    return True

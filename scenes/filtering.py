"""Filters: conditions on metadata and description fields, parsed from JSON, and what they mean.

A path such as `metadata.camera.iso` or `description.objects.name` leads through lists, one level at a step, so it may
find many values; a condition holds where one of them fits. Values fit only values of their own type: numbers compare
as numbers, text by code point and case-sensitively, true and false only as equal. `null` means: nothing is there.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scenes.description import SceneDescription, storable
from scenes.errors import BadInput

Scalar = str | int | float | bool
Path = tuple[str, ...]
ROOTS = ("metadata", "description")
_DESCRIPTION = "description"
_WORD = re.compile(r"[^\W_]+")
MAX_DEPTH = 8
MAX_CONDITIONS = 100
MAX_VALUES = 1_000
MAX_TEXT = 1_000
MAX_STEPS = 10
BOUNDS = frozenset(("gt", "gte", "lt", "lte"))


@dataclass(frozen=True, slots=True)
class IsOneOf:
    """Some value at the path equals one of these."""

    path: Path
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """Some value at the path is within all bounds, each a name of `BOUNDS` and a number or a text."""

    path: Path
    bounds: tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Says:
    """Some text at the path says these words, all of them and one after the other; upper and lower case are the same.

    Words are what Postgres's parser takes for words (its `simple` configuration).
    """

    path: Path
    words: str


@dataclass(frozen=True, slots=True)
class Absent:
    """No value at the path, or none but null."""

    path: Path


@dataclass(frozen=True, slots=True)
class Not:
    part: "Filter"


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Filter", ...]


Filter = IsOneOf | Within | Says | Absent | Not | AllOf | AnyOf


def parse(body: Any) -> Filter:
    """A filter from JSON. Raises `BadInput` (`filter_invalid`)."""
    parsed = _filter(body, MAX_DEPTH)
    if sum(1 for _ in _conditions(parsed)) > MAX_CONDITIONS:
        raise _wrong(f"a filter has at most {MAX_CONDITIONS} conditions")
    return parsed


def asks_for_words(asked: Filter) -> bool:
    """Is any condition one of words that a description says?"""
    return any(isinstance(one, Says) for one in _conditions(asked))


def _filter(body: Any, depth: int) -> Filter:
    if not isinstance(body, dict) or not body:
        raise _wrong("a filter is a JSON object with at least one condition")
    if depth == 0:
        raise _wrong(f"a filter is nested at most {MAX_DEPTH} deep")
    parts = tuple(_entry(str(key), value, depth) for key, value in body.items())
    return parts[0] if len(parts) == 1 else AllOf(parts)


def _entry(key: str, value: Any, depth: int) -> Filter:
    if key in {"and", "or"}:
        if not isinstance(value, list) or not value:
            raise _wrong(f"{key!r} takes a list of filters")
        parts = tuple(_filter(part, depth - 1) for part in value)
        return AllOf(parts) if key == "and" else AnyOf(parts)
    if key == "not":
        return Not(_filter(value, depth - 1))
    if isinstance(value, dict) and value.keys() == {"says"}:
        return _says_condition(key, value["says"])
    return _condition(_path(key), value, depth)


def _says_condition(key: str, value: Any) -> Filter:
    path = (_DESCRIPTION,) if key == _DESCRIPTION else _path(key)
    if path[0] != _DESCRIPTION or not isinstance(value, str) or not _WORD.search(value):
        raise _wrong("'says' takes a text with words, of a description or a field of it")
    return Says(path, _text(value))


def _condition(path: Path, value: Any, depth: int) -> Filter:
    if not isinstance(value, dict):
        return _one_of(path, [value])
    if depth == 0:
        raise _wrong(f"a filter is nested at most {MAX_DEPTH} deep")
    if value.keys() == {"in"} and isinstance(value["in"], list):
        return _one_of(path, value["in"])
    if value.keys() == {"not"}:
        return Not(_condition(path, value["not"], depth - 1))
    if value and value.keys() <= BOUNDS:
        return Within(path, tuple((name, _bound(name, bound)) for name, bound in value.items()))
    if value.keys() == {"says"}:
        return _says_condition(".".join(path), value["says"])
    raise _wrong(f"{'.'.join(path)}: neither a value nor one of in, not, says, gt, gte, lt, lte")


def _one_of(path: Path, values: list[Any]) -> Filter:
    if not 0 < len(values) <= MAX_VALUES:
        raise _wrong(f"'in' takes 1 to {MAX_VALUES} values")
    given = tuple(_scalar(value) for value in values if value is not None)
    if len(given) == len(values):
        return IsOneOf(path, given)
    return AnyOf((IsOneOf(path, given), Absent(path))) if given else Absent(path)


def _bound(name: str, value: Any) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong(f"{name!r} takes a number or a text")
    return _scalar(value)


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong("numbers are finite")
    if isinstance(value, int) and abs(value) > 10**MAX_TEXT:
        raise _wrong(f"numbers have at most {MAX_TEXT} digits")
    if not isinstance(value, (bool, int, float)):
        raise _wrong("a value is a text, a number, true, false or null")
    return value


def _path(key: str) -> Path:
    steps = tuple(_text(key).split("."))
    if steps[0] not in ROOTS or not 1 < len(steps) <= MAX_STEPS or not all(steps):
        raise _wrong(f"{key!r} is no path", fix="paths look like metadata.year or description.objects.name")
    if steps[0] == "description" and steps[1] not in SceneDescription.model_fields:
        raise _wrong(f"descriptions have no {steps[1]!r}", fix=f"they have {', '.join(SceneDescription.model_fields)}")
    return steps


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise _wrong(f"texts in a filter have at most {MAX_TEXT} characters")
    try:
        return storable(value)
    except ValueError as error:
        raise _wrong(str(error)) from error


def _wrong(told: str, fix: str | None = None) -> BadInput:
    return BadInput("filter_invalid", f"filter: {told}", fix=fix)


def _conditions(asked: Filter) -> Iterator[Filter]:
    match asked:
        case Not(part):
            yield from _conditions(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _conditions(part)
        case _:
            yield asked

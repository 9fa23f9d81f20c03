"""A reply counts only if it ended by itself, parses, fits the schema, does not repeat and is not boilerplate."""

import json
import re
from collections import Counter
from dataclasses import dataclass

from pydantic import ValidationError

from captioner.engines.engine import Reply
from scenes.description import SceneDescription
from scenes.outcome import FailureReason

_REPEATED_WORDS = 6
_REPEATED_SHARE = 0.35
_REPEAT_MINIMUM = 30
_MOST_TIMES_SAID = 3
_BOILERPLATE = re.compile(
    r"\b(as an ai|i (?:can(?:no|')t|am unable to|'m unable to) (?:see|view|describe|assist|help)|i'm sorry|"
    r"no image (?:was|is) (?:provided|attached)|lorem ipsum)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a reply does not count."""

    reason: FailureReason
    detail: str


def check(reply: Reply) -> SceneDescription | Unfit:
    """The description that a reply holds, or why it does not count."""
    if reply.finish_reason != "stop":
        return Unfit(FailureReason.REPLY_CUT, f"ended by {reply.finish_reason!r}")
    try:
        body = json.loads(reply.text, strict=True)
        description = SceneDescription.model_validate(body)
    except (ValueError, ValidationError, RecursionError) as error:
        return Unfit(FailureReason.REPLY_INVALID, _first_line(error))
    return _unfit_words(description) or description


def _unfit_words(description: SceneDescription) -> Unfit | None:
    prose = f"{description.summary} {description.detail}"
    if _BOILERPLATE.search(prose):
        return Unfit(FailureReason.REPLY_BOILERPLATE, "the engine talks of itself instead of the image")
    if _repeats(prose) or _says_the_same_object_again(description):
        return Unfit(FailureReason.REPLY_REPEATS, "the reply repeats itself")
    return None


def _repeats(prose: str) -> bool:
    """Does one run of words make up much of a longer text?"""
    words = prose.lower().split()
    if len(words) < _REPEAT_MINIMUM:
        return False
    runs = Counter(tuple(words[i : i + _REPEATED_WORDS]) for i in range(len(words) - _REPEATED_WORDS + 1))
    times = max(runs.values())
    return times > _MOST_TIMES_SAID and times * _REPEATED_WORDS > _REPEATED_SHARE * len(words)


def _says_the_same_object_again(description: SceneDescription) -> bool:
    times = Counter(thing.model_dump_json() for thing in description.objects)
    return bool(times) and max(times.values()) > _MOST_TIMES_SAID


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]

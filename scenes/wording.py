"""The wording: the pure function from a description to the text(s) that are embedded.

A wording is named by its recipe; a new order or a new view is a new name, never a change of an old one. Text
encoders favour the start of a text, so the summary stands first and what matters least (style, absences) last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scenes.description import People, Relation, SceneDescription, SceneObject, Setting
from scenes.errors import BadInput

DEFAULT_WORDING = "whole-1"


@dataclass(frozen=True, slots=True)
class Passage:
    """One text to embed: `view` names which part of the description it speaks for."""

    view: str
    text: str


def passages(description: SceneDescription, wording: str = DEFAULT_WORDING) -> tuple[Passage, ...]:
    """The texts of a description under a wording, always the same number of views in the same order.

    Raises `BadInput` (`wording_unknown`) for a name that no wording has.
    """
    return _wording(wording)(description)


def view_names(wording: str = DEFAULT_WORDING) -> tuple[str, ...]:
    """The views of a wording, in order."""
    return tuple(passage.view for passage in passages(SceneDescription(detail="."), wording))


def whole_text(description: SceneDescription) -> str:
    """Everything the description says, as prose, most telling first."""
    return " ".join(_sentence(part) for part in _parts(description) if part)


def _wording(name: str) -> Callable[[SceneDescription], tuple[Passage, ...]]:
    try:
        return _WORDINGS[name]
    except KeyError:
        known = ", ".join(sorted(_WORDINGS))
        raise BadInput("wording_unknown", f"no wording is named {name!r}", fix=f"known: {known}") from None


def _whole(description: SceneDescription) -> tuple[Passage, ...]:
    return (Passage("whole", whole_text(description)),)


_WORDINGS: dict[str, Callable[[SceneDescription], tuple[Passage, ...]]] = {"whole-1": _whole}


def _parts(description: SceneDescription) -> Iterable[str]:
    yield description.summary
    yield description.detail
    yield ", ".join(object_phrase(thing) for thing in description.objects)
    yield "; ".join(relation_phrase(relation) for relation in description.relations)
    yield ", ".join(description.actions)
    yield "; ".join(people_phrase(group) for group in description.people)
    yield setting_phrase(description.setting)
    if description.visible_text:
        yield "Text: " + ", ".join(f"“{text}”" for text in description.visible_text)
    yield ", ".join(part for part in (description.style, description.medium) if part)
    if description.absent:
        yield "No " + ", no ".join(description.absent)


def object_phrase(thing: SceneObject) -> str:
    """An object in words, its attributes before its name: '2 small red apples' is '2 small red apple'."""
    count = [] if thing.count in (None, 1) else [str(thing.count)]
    colour = [thing.colour] if thing.colour and thing.colour not in thing.attributes else []
    return " ".join([*count, *thing.attributes, *colour, thing.name])


def relation_phrase(relation: Relation) -> str:
    """A relation as a short clause."""
    return f"{relation.subject} {relation.predicate} {relation.object}"


def people_phrase(group: People) -> str:
    """A group of people in words."""
    count = [] if group.count in (None, 1) else [str(group.count)]
    wearing = ["wearing " + ", ".join(group.clothing)] if group.clothing else []
    return " ".join([*count, group.role or "person", *wearing, *([group.doing] if group.doing else [])])


def setting_phrase(setting: Setting) -> str:
    """Place, time, weather and light, as far as they are stated."""
    stated = (setting.place, setting.time_of_day, setting.weather, setting.lighting)
    return ", ".join(part for part in stated if part)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text[-1:] in ".!?”" else text + "."

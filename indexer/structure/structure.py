"""From a plain description to a structured one."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from indexer.structure.kinds import NEGATIONS, TIMES, WEATHER
from indexer.structure.reading import read
from indexer.structure.scene import Scene, Thing
from indexer.structure.tagging import Tagger, tagger
from indexer.structure.words import sentences
from scenes.description import People, Relation, SceneDescription, SceneObject, Setting
from scenes.fields import TEXTS, part

_MOST, _MOST_PEOPLE, _LONGEST = 64, 32, 300
_MOST_THINGS = 2 * _MOST
"""After so many things no more sentences are read: the time that any text takes is bounded."""
_QUOTED = re.compile(r'(?<!\w)"([^"\n]{1,300})"(?!\w)|“([^“”\n]{1,300})”')
"""The mark of `10"` opens nothing."""
_NOTHING = SceneDescription(detail=".")


def structure_of(text: str, by: Tagger | None = None) -> SceneDescription:
    """What a text says, as objects, relations, actions, people, setting, text to be read and absences; never its words
    as `summary` or `detail`, so it may say nothing at all."""
    scene, by, words = Scene(), by or tagger(), list[str]()
    for sentence in sentences(_QUOTED.sub(" ", text)):
        if len(scene.things) < _MOST_THINGS:
            read(sentence, scene, by)
        words += _stated(sentence)
    return SceneDescription.model_construct(
        objects=tuple(_object(one) for one in scene.things if _fits(one.chunk.name))[:_MOST],
        relations=tuple(Relation(subject=a, predicate=b, object=c) for a, b, c in _fitting(scene.relations))[:_MOST],
        actions=tuple(one for one in scene.actions if _fits(one))[:_MOST],
        people=tuple(_people(one) for one in scene.things if one.chunk.person and _fits(one.chunk.name))[:_MOST_PEOPLE],
        setting=_setting(scene, words),
        visible_text=_quoted(text)[:_MOST],
        medium=scene.medium if scene.medium and _fits(scene.medium) else None,
        absent=tuple(one for one in scene.absent if _fits(one))[:_MOST],
    )


def is_plain(description: SceneDescription) -> bool:
    """Does it say nothing but a summary or a detailed text?"""
    return all(getattr(description, name) == getattr(_NOTHING, name) for name in _STRUCTURE)


_STRUCTURE = tuple(name for name in SceneDescription.model_fields if name not in TEXTS)


def told(description: SceneDescription, fields: Sequence[str]) -> SceneDescription:
    """What a description tells in these fields: its own words there; those of a plain one from what its text says.

    A text that is itself asked for says everything already: nothing is read from it.
    """
    unread = [text for name in TEXTS if name not in fields and (text := getattr(description, name))]
    if not unread or set(fields) <= set(TEXTS) or not is_plain(description):
        return part(description, fields)
    own = {name: getattr(description, name) for name in TEXTS if name in fields}
    return part(_read("\n\n".join(unread)).model_copy(update=own), fields)


@lru_cache(maxsize=256)
def _read(text: str) -> SceneDescription:
    return structure_of(text)


def _fitting(relations: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [one for one in relations if all(_fits(word) for word in one)]


def _fits(phrase: str) -> bool:
    return 0 < len(phrase) <= _LONGEST


def _object(thing: Thing) -> SceneObject:
    attributes = tuple(one for one in thing.attributes if _fits(one))[:_MOST]
    colour = thing.colour if thing.colour and _fits(thing.colour) else None
    return SceneObject(
        name=thing.chunk.name, count=thing.count, attributes=attributes, colour=colour, position=thing.position
    )


def _people(thing: Thing) -> People:
    clothing = tuple(dict.fromkeys(one for one in thing.wears if _fits(one)))[:_MOST]
    doing = thing.does if thing.does and _fits(thing.does) else None
    return People(count=thing.count, role=thing.chunk.name, clothing=clothing, doing=doing)


def _stated(sentence: Sequence[str]) -> list[str]:
    """Words of time and weather, of a sentence that denies nothing."""
    low = [word.lower() for word in sentence]
    if any(word in NEGATIONS or word.endswith(("n't", "n’t")) for word in low):
        return []
    return [word for word in low if word in TIMES or word in WEATHER]


def _setting(scene: Scene, words: Sequence[str]) -> Setting:
    """`words` of time and weather: the first said counts."""
    place = scene.place if scene.place and _fits(scene.place) else None
    time_of_day = next((word for word in words if word in TIMES), None)
    return Setting(
        place=place, time_of_day=time_of_day, weather=next((word for word in words if word in WEATHER), None)
    )


def _quoted(text: str) -> tuple[str, ...]:
    found = (said.strip() for match in _QUOTED.finditer(text) for said in match.groups() if said)
    return tuple(dict.fromkeys(one for one in found if one))

"""Parts of a description: what a search of some of its fields looks at.

A part is the description that says these fields and nothing else. It is worded, embedded and ranked as whole
descriptions are, so a search of fields answers as a collection would that holds nothing but them.
"""

from collections.abc import Iterable

from scenes.description import SceneDescription
from scenes.errors import BadInput
from scenes.wording import whole_text

FIELDS = tuple(SceneDescription.model_fields)
TEXTS = ("summary", "detail")
"""The fields that are free text; a description that has no other is plain."""


def fields_of(names: Iterable[str]) -> tuple[str, ...]:
    """These fields, each once, in the order of a description. Raises `BadInput` (`field_unknown`)."""
    wanted = set(names)
    unknown = sorted(wanted.difference(FIELDS))
    if unknown:
        raise BadInput("field_unknown", f"descriptions have no field {unknown[0]!r}", fix=f"known: {', '.join(FIELDS)}")
    return tuple(name for name in FIELDS if name in wanted)


def part(description: SceneDescription, fields: Iterable[str]) -> SceneDescription:
    """The description with these fields alone; it may say nothing at all."""
    return SceneDescription.model_construct(**{name: getattr(description, name) for name in fields})


def said(description: SceneDescription) -> str:
    """What a description or a part of one says, as it is worded; empty where it says nothing."""
    return whole_text(description)

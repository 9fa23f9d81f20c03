"""A part says what its fields say and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.description import SceneDescription, Setting
from scenes.errors import BadInput
from scenes.fields import FIELDS, fields_of, part, said
from tests.scenes.strategies import descriptions

some_fields = st.lists(st.sampled_from(FIELDS), min_size=1).map(fields_of)


@given(descriptions, descriptions, some_fields)
def test_what_else_a_description_says_makes_no_difference(
    one: SceneDescription, other: SceneDescription, fields: tuple[str, ...]
) -> None:
    mixed = other.model_copy(update={name: getattr(one, name) for name in fields})
    assert part(mixed, fields) == part(one, fields)
    assert said(part(mixed, fields)) == said(part(one, fields))


@given(descriptions)
def test_all_fields_together_are_the_description(description: SceneDescription) -> None:
    assert part(description, FIELDS) == description


def test_an_empty_part_says_nothing() -> None:
    plain = SceneDescription(detail="A red bus.", setting=Setting())
    assert {name: said(part(plain, (name,))) for name in FIELDS if name != "detail"} == dict.fromkeys(
        set(FIELDS) - {"detail"}, ""
    )
    assert said(part(plain, ("detail", "objects"))) == "A red bus."


def test_fields_are_told_once_and_in_order() -> None:
    assert fields_of(["visible_text", "summary", "visible_text"]) == ("summary", "visible_text")


def test_an_unknown_field_is_told_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="'colours'") as told:
        fields_of(["objects", "colours"])
    assert told.value.code == "field_unknown"
    assert all(name in (told.value.fix or "") for name in FIELDS)

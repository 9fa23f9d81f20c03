"""The wording says everything a description says, most telling first, and one name always means the same text."""

import pytest
from hypothesis import given

from scenes.description import People, Relation, SceneDescription, SceneObject, Setting
from scenes.errors import BadInput
from scenes.wording import object_phrase, passages, people_phrase, view_names
from tests.scenes.strategies import descriptions

FULL = SceneDescription(
    summary="Two dogs run on a beach",
    detail="They chase a ball! The sea is calm.",
    setting=Setting(place="a beach", time_of_day="dusk", weather="clear sky", lighting="golden light"),
    objects=(
        SceneObject(name="dog", count=2, attributes=("small", "brown"), colour="brown", position="left"),
        SceneObject(name="ball", count=1, colour="red"),
    ),
    relations=(Relation(subject="dog", predicate="behind", object="ball"),),
    actions=("running", "chasing"),
    people=(People(count=3, role="swimmer", clothing=("cap", "suit"), doing="watching"), People()),
    visible_text=("NO SWIMMING",),
    style="documentary",
    medium="photograph",
    absent=("boat", "umbrella"),
)
WHOLE_1 = (
    "Two dogs run on a beach. They chase a ball! The sea is calm. 2 small brown dog, red ball. dog behind ball. "
    "running, chasing. 3 swimmer wearing cap, suit watching; person. a beach, dusk, clear sky, golden light. "
    "Text: “NO SWIMMING” documentary, photograph. No boat, no umbrella."
)


def test_whole_1_is_never_reworded() -> None:
    (only,) = passages(FULL, "whole-1")
    assert (only.view, only.text) == ("whole", WHOLE_1)


def test_an_unknown_wording_is_told() -> None:
    with pytest.raises(BadInput, match="no wording is named 'nope'") as told:
        passages(FULL, "nope")
    assert "whole-1" in (told.value.fix or "")


@given(descriptions)
def test_nothing_that_is_stated_is_left_out(description: SceneDescription) -> None:
    (only,) = passages(description, "whole-1")
    stated = [description.summary, description.detail, *description.actions, *description.visible_text]
    stated += [*description.absent, description.style or "", description.medium or ""]
    stated += [value for _, value in description.setting if value]
    stated += [word for one in description.relations for _, word in one]
    stated += [phrase for one in description.objects for phrase in (one.name, one.colour or "", *one.attributes)]
    stated += [phrase for one in description.people for phrase in (one.role or "", one.doing or "", *one.clothing)]
    assert [phrase for phrase in stated if phrase not in only.text] == []
    assert only.text.startswith(description.summary)


@given(descriptions)
def test_every_description_has_the_same_views(description: SceneDescription) -> None:
    assert tuple(passage.view for passage in passages(description, "whole-1")) == view_names("whole-1")
    assert passages(description, "whole-1") == passages(description.model_copy(deep=True), "whole-1")


def test_one_of_a_thing_is_not_counted_aloud() -> None:
    assert object_phrase(SceneObject(name="cat", count=1, colour="grey")) == "grey cat"
    assert people_phrase(People()) == "person"

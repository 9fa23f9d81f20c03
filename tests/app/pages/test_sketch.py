"""The sketch: what is said is drawn, within its frame, and no word of a description becomes markup."""

import re
from xml.etree import ElementTree

import pytest

from app.pages.sketch import sketch
from scenes.description import Box, People, SceneDescription, SceneObject

HOSTILE = '<script>alert("x")</script>&amp;'


def drawn(description: SceneDescription) -> ElementTree.Element:
    return ElementTree.fromstring(str(sketch(description)))


def texts(description: SceneDescription) -> list[str]:
    return [text.text or "" for text in drawn(description).iter("text")]


def test_objects_are_labelled_and_people_are_drawn() -> None:
    dogs = SceneObject(name="dog", count=2, position="left", colour="brown")
    crowd = People(count=900)
    description = SceneDescription(objects=(dogs, SceneObject(name="ball")), people=(crowd,))
    assert texts(description) == ["2 × dog", "ball"]
    assert len(re.findall("<path d=.M[0-9]+ 200v", str(sketch(description)))) == 5


def test_a_plain_caption_is_quoted() -> None:
    assert texts(SceneDescription(detail="A red bus in the snow")) == ["“A red bus in the snow”"]


@pytest.mark.parametrize(
    "description",
    [
        SceneDescription(detail=HOSTILE),
        SceneDescription(summary=HOSTILE, objects=(SceneObject(name=HOSTILE, colour=HOSTILE),)),
    ],
)
def test_words_stay_words(description: SceneDescription) -> None:
    assert "<script" not in str(sketch(description))
    assert all(text.startswith(("“<script>", "<script>")) for text in texts(description))


def test_labels_stay_inside_the_frame() -> None:
    corners = [Box(x0=0, y0=0, x1=0.01, y1=0.01), Box(x0=0.99, y0=0.99, x1=1, y1=1)]
    things = tuple(SceneObject(name="a very long name of a thing", box=box) for box in corners)
    pills = [rect for rect in drawn(SceneDescription(objects=things)).iter("rect") if rect.get("rx")]
    for pill in pills:
        x, y, width, height = (float(pill.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= 320
        assert 0 <= y <= y + height <= 200
    assert len(pills) == 2

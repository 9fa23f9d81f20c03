"""Filters: what is refused, and what they mean."""

from typing import Any

import pytest

from scenes.errors import BadInput
from scenes.filtering import MAX_CONDITIONS, MAX_VALUES, parse
from tests.scenes.filter_reference import matches

DOCUMENT = {
    "metadata": {"year": 2020, "tags": ["a", "B"], "camera": {"iso": 100.0}, "owner": None, "ok": True, "empty": []},
    "description": {"objects": [{"name": "dog", "count": 2}, {"name": "cat"}], "style": "photograph"},
}


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ({"metadata.year": 2020}, True),
        ({"metadata.year": 2020.0}, True),
        ({"metadata.year": "2020"}, False),
        ({"metadata.year": {"gte": 2020, "lt": 2021}}, True),
        ({"metadata.year": {"gt": 2020}}, False),
        ({"metadata.year": {"gt": "1"}}, False),
        ({"metadata.tags": "a"}, True),
        ({"metadata.tags": "b"}, False),
        ({"metadata.tags": {"in": ["x", "B"]}}, True),
        ({"metadata.tags": {"not": "a"}}, False),
        ({"metadata.camera.iso": 100}, True),
        ({"metadata.camera": 100}, False),
        ({"metadata.owner": None}, True),
        ({"metadata.nothing": None}, True),
        ({"metadata.empty": None}, True),
        ({"metadata.year": None}, False),
        ({"metadata.year": {"in": [None, 2020]}}, True),
        ({"metadata.nothing": {"not": 3}}, True),
        ({"metadata.ok": True}, True),
        ({"metadata.ok": 1}, False),
        ({"description.objects.name": "cat"}, True),
        ({"description.objects.count": {"gte": 2}}, True),
        ({"description.objects.name": "cat", "metadata.year": 1999}, False),
        ({"or": [{"metadata.year": 1999}, {"description.style": "photograph"}]}, True),
        ({"and": [{"metadata.year": 1999}, {"description.style": "photograph"}]}, False),
        ({"not": {"metadata.year": 1999}}, True),
    ],
)
def test_what_a_filter_means(body: dict[str, Any], passes: bool) -> None:
    assert matches(parse(body), DOCUMENT) is passes


DEEP: dict[str, Any] = {"metadata.a": 1}
for _ in range(10):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "metadata.a",
        {"year": 1},
        {"metadata": 1},
        {"metadata.": 1},
        {"metadata..a": 1},
        {"other.a": 1},
        {"description.object": "dog"},
        {"metadata.a": {}},
        {"metadata.a": {"near": 1}},
        {"metadata.a": {"gt": 1, "in": [1]}},
        {"metadata.a": {"gt": None}},
        {"metadata.a": {"gt": True}},
        {"metadata.a": {"in": []}},
        {"metadata.a": {"in": list(range(MAX_VALUES + 1))}},
        {"metadata.a": [1]},
        {"metadata.a": float("inf")},
        {"metadata.a": 10**2_000},
        {"metadata.a": "\x00"},
        {"metadata.\ud800": 1},
        {"metadata." + "a." * 20 + "b": 1},
        {"and": []},
        {"and": {"metadata.a": 1}},
        {"or": [{}]},
        {"not": 1},
        {"and": [{"metadata.a": 1}] * (MAX_CONDITIONS + 1)},
        DEEP,
    ],
)
def test_what_is_no_filter_is_told(body: Any) -> None:
    with pytest.raises(BadInput) as told:
        parse(body)
    assert told.value.code == "filter_invalid"

"""Descriptions come back as they went in, the published schema says the same as the model, nothing else is taken."""

import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from scenes.description import SceneDescription, json_schema
from tests.scenes.strategies import descriptions

SCHEMA = Draft202012Validator(json_schema())


@given(descriptions)
def test_a_description_survives_json_as_the_catalog_keeps_it(description: SceneDescription) -> None:
    short = json.loads(json.dumps(description.model_dump(mode="json", exclude_defaults=True)))
    assert SceneDescription.model_validate(short) == description
    assert SceneDescription.model_validate_json(description.model_dump_json()) == description


@given(descriptions)
def test_the_published_schema_takes_every_description(description: SceneDescription) -> None:
    SCHEMA.validate(description.model_dump(mode="json"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"summary": "  "},
        {"summary": "a dog", "pixels": "…"},
        {"summary": "a dog", "objects": [{"name": ""}]},
        {"summary": "a dog", "objects": [{"name": "dog", "count": 0}]},
        {"summary": "a dog", "objects": [{"name": "dog", "box": {"x0": 0.5, "y0": 0, "x1": 0.5, "y1": 1}}]},
        {"summary": "a dog", "objects": [{"name": "dog", "box": {"x0": 0, "y0": 0, "x1": 1.5, "y1": 1}}]},
        {"summary": "a dog", "objects": [{"name": "dog", "position": "somewhere"}]},
        {"summary": "a dog\x00"},
        {"detail": "half a pair \ud83d"},
        {"detail": "x" * 20_001},
        {"objects": [{"name": "dog"}] * 65},
    ],
)
def test_what_says_nothing_or_too_much_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SceneDescription.model_validate(body)


def test_a_plain_caption_is_a_description() -> None:
    assert SceneDescription.from_text(" a dog ").model_dump(exclude_defaults=True) == {"detail": "a dog"}


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u2003", "\x85"])
def test_a_phrase_of_blanks_is_refused_before_it_is_stored(blank: str) -> None:
    for body in ({"objects": [{"name": blank}]}, {"summary": "a cat", "actions": [blank]}):
        with pytest.raises(ValidationError):
            SceneDescription.model_validate(body)
    padded = SceneDescription.model_validate({"objects": [{"name": f"{blank}cat{blank}", "attributes": ["x" * 300]}]})
    assert SceneDescription.model_validate(padded.model_dump(mode="json", exclude_defaults=True)) == padded

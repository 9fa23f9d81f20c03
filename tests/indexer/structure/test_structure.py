"""What is read from plain sentences."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.structure.structure import structure_of, told
from indexer.structure.words import sentences, singular
from scenes.description import SceneDescription
from scenes.fields import FIELDS, fields_of, part
from scenes.wording import object_phrase, people_phrase, relation_phrase
from tests.scenes.strategies import descriptions, letters

OBJECTS = {
    "a red car and a blue house": ["red car", "blue house"],
    "Two small dogs and 12 cats sleep.": ["2 small dog", "12 cat"],
    "a black and white cat, a light blue table": ["black and white cat", "light blue table"],
    "A group of people near a couple of brightly colored umbrellas.": ["person", "2 brightly colored umbrella"],
    "A stop sign in front of a snow covered mountain": ["stop sign", "snow covered mountain"],
    "The building is red and tall.": ["tall red building"],
    "A couch. The couch, which is blue, is old.": ["old blue couch"],
    "A black and white photo of a horse": ["horse"],
    "The image shows the man's hand.": ["man", "hand"],
    "A man holds three knives. The other man has glasses.": ["man", "3 knife", "man", "glasses"],
    "A shirt (red) with buttons": ["shirt", "button"],
    "": [],
}
RELATIONS = {
    "A man in a red shirt holding a dog.": ["man in red shirt", "man holding dog"],
    "Two dogs are sitting on top of a wooden table next to a cat.": [
        "two dogs sitting on top of wooden table",
        "wooden table next to cat",
    ],
    "A table with a cat sitting on it": ["table with cat", "cat sitting on table"],
    "A cat sitting on a chair and a dog lying under a table": ["cat sitting on chair", "dog lying under table"],
    "A tub and a sink in a bathroom": ["tub in bathroom", "sink in bathroom"],
    "There is a white cat. It is looking at a bird.": ["white cat looking at bird"],
    "A woman wears a hat, a coat and a scarf.": ["woman wears hat", "woman wears coat", "woman wears scarf"],
    "The cup that is full of coffee stands to the left of a plate.": [
        "cup full of coffee",
        "cup stands to the left of plate",
    ],
    "The photo shows a lake with a boat.": ["lake with boat"],
    "The children play, and a boy jumps over a fence.": ["boy jumps over fence"],
    "A dog is not near a cat.": [],
}
ABSENT = {
    "There are no cars or people on the street.": ["cars", "people"],
    "A man without a hat": ["hat"],
    "The dog is not wearing a collar, and a cat sleeps.": ["collar"],
    "no visible people, trees and bushes, a red car": ["people", "trees", "bushes"],
    "A room that lacks windows": ["windows"],
    "The door isn't open.": [],
}


@pytest.mark.parametrize(("text", "objects"), OBJECTS.items())
def test_objects_have_their_own_attributes(text: str, objects: list[str]) -> None:
    assert [object_phrase(one) for one in structure_of(text).objects] == objects


@pytest.mark.parametrize(("text", "relations"), RELATIONS.items())
def test_relations_have_their_own_subjects(text: str, relations: list[str]) -> None:
    assert [relation_phrase(one) for one in structure_of(text).relations] == relations


@pytest.mark.parametrize(("text", "absent"), ABSENT.items())
def test_what_is_denied_is_absent_and_no_object(text: str, absent: list[str]) -> None:
    found = structure_of(text)
    assert list(found.absent) == absent
    assert {singular(word) for word in absent}.isdisjoint(one.name for one in found.objects)


def test_people_actions_setting_and_text() -> None:
    found = structure_of(
        "A black and white photo of three men in suits riding a bus at night. On the left side of the image, there is "
        'a boy on a beach. He is smiling. A sign says "NO CARS" in the sunny bay.'
    )
    assert [people_phrase(one) for one in found.people] == ["3 man wearing suits riding bus", "boy smiling"]
    assert found.actions == ("three men riding bus", "boy smiling", "sign says in sunny bay")
    assert [(one.name, one.position) for one in found.objects if one.position] == [("boy", "left")]
    assert (found.setting.place, found.setting.time_of_day, found.setting.weather) == ("beach", "night", "sunny")
    assert (found.medium, found.visible_text, found.absent) == ("black and white photo", ("NO CARS",), ())


SETTINGS = {
    "There is no snow, and it is not a rainy day.": (None, None),
    "It isn't sunny. An overcast day, later cloudy.": (None, "overcast"),
    "At night, before the dawn of a windy and foggy day": ("night", "windy"),
}


@pytest.mark.parametrize(("text", "setting"), SETTINGS.items())
def test_the_first_time_and_weather_stated_count(text: str, setting: tuple[str | None, str | None]) -> None:
    found = structure_of(text).setting
    assert (found.time_of_day, found.weather) == setting


QUOTED = {
    'A 10" pan and a 12" plate on a table.': ((), ["pan", "plate", "table"]),
    'A 5" wide plank and a sign that says "STOP", 12" wide.': (("STOP",), ["plank", "sign"]),
    'The words “GO” and "12" on a bus': (("GO", "12"), ["word", "bus"]),
}


@pytest.mark.parametrize(("text", "expected"), QUOTED.items())
def test_inches_are_no_quotes(text: str, expected: tuple[tuple[str, ...], list[str]]) -> None:
    found = structure_of(text)
    assert found.visible_text == expected[0]
    assert [one.name for one in found.objects][-len(expected[1]) :] == expected[1]


SENTENCES = {
    "A man in a\nred shirt.\nA dog": [["A", "man", "in", "a", "red", "shirt"], ["A", "dog"]],
    "A man\r\n\r\nA dog": [["A", "man"], ["A", "dog"]],
    "There are: \nA man\n \nA dog": [["There", "are", ":"], ["A", "man"], ["A", "dog"]],
    "- A man\n- A dog": [["-", "A", "man"], ["-", "A", "dog"]],
    "Mr. Smith of the U.S. sits. A dog": [["Mr", "Smith", "of", "the", "U.S", "sits"], ["A", "dog"]],
    "Who is Dr.? Well...": [
        [
            "Who",
            "is",
            "Dr",
        ],
        ["Well"],
    ],
}


@pytest.mark.parametrize(("text", "expected"), SENTENCES.items())
def test_sentences_end_where_they_do(text: str, expected: list[list[str]]) -> None:
    assert list(sentences(text)) == expected


def test_what_spans_lines_is_one_thing() -> None:
    wrapped = structure_of("A man holds a large\nred umbrella.")
    assert wrapped == structure_of("A man holds a large red umbrella.")
    plain = SceneDescription(summary="A man holds a large red", detail="umbrella.")
    assert [one.name for one in told(plain, ("objects",)).objects][-1] == "umbrella"
    assert told(plain, ("objects",)).objects[-1].colour is None


WORDS = """
a the red Two no without dogs man's is holding , . and of in with it they who colours light blue - “x” 7 sitting covered
photo left side there not or to
"""
words = st.sampled_from(WORDS.split())
texts = st.lists(words | st.text(letters, max_size=8), max_size=60).map(" ".join) | st.text(letters, max_size=300)


@given(texts)
def test_any_text_is_read_alike_twice_and_in_its_own_words(text: str) -> None:
    found = structure_of(text)
    assert found == structure_of(text)
    assert SceneDescription.model_validate({**found.model_dump(), "detail": "."}) == found.model_copy(
        update={"detail": "."}
    )
    said = {word for sentence in sentences(text) for word in sentence}
    said |= {one for word in said for one in (word.lower(), singular(word.lower()))}
    for phrase in _phrases(found):
        assert phrase in text or set(phrase.replace(",", "").split()) <= said


def _phrases(found: SceneDescription) -> list[str]:
    named = [phrase for one in found.objects for phrase in (one.name, *one.attributes, one.colour or one.name)]
    related = [phrase for one in found.relations for phrase in (one.subject, one.predicate, one.object)]
    people = [phrase for one in found.people for phrase in (*one.clothing, one.doing or "", one.role or "")]
    setting = [phrase for _, phrase in found.setting if phrase]
    return [*named, *related, *people, *setting, *found.actions, *found.visible_text, *found.absent, found.medium or ""]


@given(descriptions, st.lists(st.sampled_from(FIELDS), min_size=1).map(fields_of))
def test_a_structure_that_was_stated_is_used_as_it_is(one: SceneDescription, fields: tuple[str, ...]) -> None:
    assert told(one, fields) == part(one, fields) or one.model_dump(exclude_defaults=True).keys() <= {
        "summary",
        "detail",
    }


def test_a_text_answers_for_other_fields_unless_it_is_asked_itself() -> None:
    plain = SceneDescription(summary="A dog.", detail="A red car.")
    assert [object_phrase(one) for one in told(plain, ("objects",)).objects] == ["dog", "red car"]
    assert [object_phrase(one) for one in told(plain, ("summary", "objects")).objects] == ["red car"]
    assert told(plain, ("summary", "detail", "objects")) == part(plain, ("summary", "detail", "objects"))
    assert told(plain, ("summary",)) == part(plain, ("summary",))


def test_after_so_many_things_no_more_is_read() -> None:
    assert structure_of("A cat. " * 127 + "There are no dogs.").absent == ("dogs",)
    endless = structure_of("A cat. " * 128 + "There are no dogs.")
    assert len(endless.objects) == 64
    assert endless.absent == ()


@pytest.mark.parametrize(
    "text",
    [
        "a cat holds the red red dog and " * 600,
        "A wall " + "painted and " * 1_600 + "painted.",
        "A wall, " + "painted, " * 1_600 + "painted",
        "A wall " + "' painted " * 1_600,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.thread_time()
    structure_of(text)
    assert time.thread_time() - started < 5

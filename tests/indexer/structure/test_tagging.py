"""The tagger that ships, and how it is taught."""

import json

import pytest

from indexer.calibration.taught_tags import Taught, finite, framed, letter, lexicon, taught
from indexer.structure.tagging import DATA, TAGS, tagger
from indexer.structure.words import sentences, singular

TAGGED = {
    "A man is holding two red umbrellas.": "DNVGCJS",
    "The blue cars, which look old": "DJS,WVJ",
    "a park near the man's house": "DNIDN'N",
    "There are no people who can be seen": "XVDSWVVE",
    "a light on the wall": "DNIDN",
    "the wooden quixol stands near it": "DJNVIP",
}


@pytest.mark.parametrize(("text", "tags"), TAGGED.items())
def test_words_are_tagged_by_what_stands_around_them(text: str, tags: str) -> None:
    (words,) = sentences(text)
    assert tagger().tags(words) == tags


def test_the_data_are_small_and_whole() -> None:
    assert DATA.stat().st_size < 1_000_000
    body = json.loads(DATA.read_text())
    assert set("".join(body["words"].values())) <= set(TAGS)
    assert {type(vote) for votes in body["weights"].values() for vote in votes.values()} == {int}


def test_teaching_is_repeatable_and_learns_from_context() -> None:
    lessons: list[Taught] = [
        (["dogs", "park", "here"], "SVR"),
        (["a", "park", "here"], "DNR"),
        (["cats", "park", "here"], "SVR"),
        (["the", "park", "here"], "DNR"),
    ] * 3
    made = taught(lessons)
    assert made == taught(lessons)
    assert set(lexicon(lessons)["park"]) == {"V", "N"}
    assert made.tags(["dogs", "park", "here"]) == "SVR"
    assert made.tags(["the", "park", "here"]) == "DNR"


def test_finite_verbs_are_taught_by_those_in_ing() -> None:
    lessons: list[Taught] = [
        (["A", "man", "is", "riding", "it"], "DNVGP"),
        (["men", "riding", "it"], "SGP"),
        (["riding", "it"], "GP"),
    ]
    assert list(finite(lessons, {"riding": "ride"})) == [
        (["A", "man", "rides", "it"], "DNVP"),
        (["men", "ride", "it"], "SVP"),
    ]


def test_the_teachers_tags_are_told_in_letters() -> None:
    assert [letter(*one) for one in (("dogs", "NNS"), ("snow-covered", "VBN"), (",", ","), ("x", None))] == list("SJ,?")
    assert framed(["A dog.", "A cat."])[:2] == ["A dog.", "A cat."]
    assert "a dog" in framed(["A dog.", "A cat."])[2]


def test_a_text_is_cut_into_sentences_and_words() -> None:
    assert list(sentences("A man's 2.5-inch T-shirt, isn't it? No.\nYes")) == [
        ["A", "man", "'s", "2.5-inch", "T-shirt", ",", "isn't", "it"],
        ["No"],
        ["Yes"],
    ]
    assert [len(one) for one in sentences("a " * 450)] == [200, 200, 50]


def test_plurals_have_their_singulars() -> None:
    plurals = (
        "dogs women benches knives buses horses glasses babies people potatoes shoes glass grass snowmen cities gas"
    )
    singulars = "dog woman bench knife bus horse glasses baby person potato shoe glass grass snowman city gas"
    assert [singular(one) for one in plurals.split()] == singulars.split()

"""Which phrase a token belongs to."""

import numpy as np

from app.search.evidence import prepared
from indexer.retrieval.explanation import owners
from scenes.description import Relation, SceneDescription, SceneObject
from scenes.fields import said

BUS = SceneDescription(
    summary="A red bus in the snow.",
    detail="It waits. Nobody is near it.",
    objects=(SceneObject(name="bus", colour="red"), SceneObject(name="tree", attributes=("bare",))),
    relations=(Relation(subject="bus", predicate="beside", object="tree"),),
    visible_text=("Text",),
    medium="photograph",
    absent=("driver",),
)


def test_words_belong_to_the_phrase_that_they_stand_in() -> None:
    text, phrases = said(BUS), prepared(BUS).all
    places = np.array([(phrase.begin, phrase.end) for phrase in phrases], np.int32)
    words = ("A red", "Nobody", "bare", "beside", "driver")
    spans = np.array([(text.index(word), text.index(word) + len(word)) for word in words], np.int32)
    found = owners(places, spans)
    assert [phrases[place].evidence.field if place >= 0 else None for place in found] == [
        "/summary",
        "/detail",
        "/objects/1",
        "/relations/0",
        None,
    ]
    assert owners(places[:0], spans).tolist() == [-1] * len(words)

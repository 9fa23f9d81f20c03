"""Evidence: phrases, where they stand, and which of them are told."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.search.evidence import Told, chosen, in_common, prepared
from indexer.structure.structure import told as read
from scenes.content_words import content_words
from scenes.description import Relation, SceneDescription, SceneObject
from scenes.fields import FIELDS, fields_of, said
from tests.scenes.strategies import descriptions

BUS = SceneDescription(
    summary="A red bus in the snow.",
    detail="It waits. Nobody is near it.",
    objects=(SceneObject(name="bus", colour="red"), SceneObject(name="tree", attributes=("bare",))),
    relations=(Relation(subject="bus", predicate="beside", object="tree"),),
    visible_text=("Text",),
    medium="photograph",
    absent=("driver",),
)


plain = st.sampled_from(
    ["A red bus waits. No dogs.", "“Stop” says a man, a man in a red hat", "\x1f they wait \x1d. A bus\x1c"]
).map(SceneDescription.from_text)


@given(descriptions | plain, st.none() | st.lists(st.sampled_from(FIELDS), min_size=1).map(fields_of))
def test_every_phrase_stands_where_it_says(description: SceneDescription, fields: tuple[str, ...] | None) -> None:
    text = said(description if fields is None else read(description, fields))
    phrases = prepared(description, fields).all
    assert [text[one.begin : one.end] for one in phrases] == [one.evidence.phrase for one in phrases]
    assert all(one.end <= other.begin for one, other in pairwise(phrases))
    named = {one.evidence.field.split("/")[1] for one in phrases}
    assert named <= set(FIELDS if fields is None else fields) - ({"absent"} if fields is None else set())


def test_the_last_phrase_of_the_longest_description_is_found() -> None:
    longest = prepared(SceneDescription(detail="b. " * 6_665 + "bus."))
    (found,) = in_common([longest], content_words("a bus"))
    assert found == longest.all[-1:]


def told(found: tuple[Told, ...]) -> list[tuple[str, float | None]]:
    return [(one.evidence.field, one.evidence.share) for one in found]


def test_phrases_are_told_by_their_shares() -> None:
    phrases = prepared(BUS)
    shares = {"/summary": 0.25, "/objects/0": 0.05, "/objects/1": 0.3, "/detail": 0.1}
    given_ = [shares.pop(one.evidence.field, 0.0) for one in phrases.all]
    assert told(chosen(phrases, content_words("the red buses"), given_)) == [
        ("/objects/1", 0.3),
        ("/summary", 0.25),
        ("/objects/0", 0.05),
        ("/relations/0", 0.0),
    ]
    assert told(chosen(phrases, content_words("the red buses"))) == [
        ("/summary", None),
        ("/objects/0", None),
        ("/relations/0", None),
    ]


def test_what_is_absent_is_told_only_where_it_is_asked_for() -> None:
    wanted = content_words("a driver")
    assert chosen(prepared(BUS), wanted) == ()
    assert told(chosen(prepared(BUS, ("absent",)), wanted)) == [("/absent/0", None)]


def test_phrases_of_a_plain_text_are_those_that_are_read_from_it() -> None:
    bus = SceneDescription(detail="A red bus waits. There are no dogs.")
    assert [one.evidence.field for one in prepared(bus).all] == ["/detail", "/detail"]
    phrases = prepared(bus, ("objects", "absent"))
    assert [(one.evidence.field, one.evidence.phrase) for one in phrases.all] == [
        ("/objects/0", "red bus"),
        ("/absent/0", "dogs"),
    ]

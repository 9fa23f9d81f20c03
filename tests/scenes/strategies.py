"""Hypothesis strategies for the shared language."""

from typing import get_args

from hypothesis import strategies as st

from scenes.description import Box, People, Position, Relation, SceneDescription, SceneObject, Setting

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
phrase = st.text(letters, min_size=1, max_size=20).map(str.strip).filter(bool)
optional_phrase = st.none() | phrase
phrases = st.lists(phrase, max_size=3).map(tuple)
count = st.none() | st.integers(1, 100_000)
setting = st.builds(
    Setting, place=optional_phrase, time_of_day=optional_phrase, weather=optional_phrase, lighting=optional_phrase
)
fractions = st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted)
box = st.tuples(fractions, fractions).map(lambda xy: Box(x0=xy[0][0], x1=xy[0][1], y0=xy[1][0], y1=xy[1][1]))
thing = st.builds(
    SceneObject,
    name=phrase,
    count=count,
    attributes=phrases,
    colour=optional_phrase,
    position=st.none() | st.sampled_from(get_args(Position)),
    box=st.none() | box,
)
relation = st.builds(Relation, subject=phrase, predicate=phrase, object=phrase)
group = st.builds(People, count=count, role=optional_phrase, clothing=phrases, doing=optional_phrase)
descriptions = st.builds(
    SceneDescription,
    summary=phrase,
    detail=phrase | st.just(""),
    setting=setting,
    objects=st.lists(thing, max_size=3).map(tuple),
    relations=st.lists(relation, max_size=2).map(tuple),
    actions=phrases,
    people=st.lists(group, max_size=2).map(tuple),
    visible_text=phrases,
    style=optional_phrase,
    medium=optional_phrase,
    absent=phrases,
)

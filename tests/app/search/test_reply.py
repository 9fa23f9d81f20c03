"""The JSON that is written at once is that of the answer's model."""

import json
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.search.evidence import in_common
from app.search.reply import Reply
from app.search.shown import Hit, Shown
from scenes.answer import Answer, RecipeName
from scenes.catalog.images import ImageView
from scenes.content_words import content_words
from scenes.description import SceneDescription, SceneObject

WORDS = st.text('ab "\\\n\té東😀\u2028{}[]:,', max_size=20)
SCORES = st.floats(-2, 2, width=32)
RECIPE = RecipeName(fingerprint="f" * 64, engine="basic", model="m", prompt="p")


@st.composite
def hits(draw: st.DrawFn, wanted: frozenset[str]) -> Hit:
    described = SceneDescription(
        detail=draw(WORDS) + " A red bus waits.", objects=(SceneObject(name="bus", colour="red"),)
    )
    view = ImageView(
        row=1,
        image_id="a" * 64,
        external_id=draw(st.none() | WORDS),
        uris=tuple(draw(st.lists(WORDS, max_size=2))),
        metadata=draw(st.dictionaries(WORDS, st.integers(-9, 9) | WORDS | st.none(), max_size=3)),
        description=described,
        description_id=1,
        source="machine",
        recipe=draw(st.none() | st.just(RECIPE)),
        generation=1,
    )
    shown = Shown.of(view)
    chance = draw(st.none() | st.floats(0, 1).map(lambda chance: round(chance, 4)))
    return Hit(shown, draw(SCORES), chance, in_common([shown.phrases], wanted)[0])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.lists(hits(content_words("a red bus")), max_size=4), st.none() | st.integers(0, 99), st.booleans())
def test_the_written_reply_is_the_answer(found: list[Hit], exists: int | None, stored: bool) -> None:
    frame = Answer(
        results=(),
        matches="some" if found else "none",
        exists=exists,
        query_truncated=stored,
        release='"results":[]' if stored else None,
        search_id=uuid.uuid4() if stored else None,
    )
    reply = Reply(frame, tuple(found))
    assert json.loads(reply.written()) == json.loads(reply.answer().model_dump_json())
    for hit in found:
        assert hit.match().evidence == tuple(phrase.evidence for phrase in hit.evidence)
        assert any(phrase.evidence.field == "/objects/0" for phrase in hit.evidence)

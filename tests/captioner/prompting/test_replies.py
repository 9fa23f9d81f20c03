"""A reply counts only if it ended by itself, parses strictly, fits the schema, does not repeat, is not boilerplate."""

import json

import pytest

from captioner.engines.engine import Reply
from captioner.prompting.replies import Unfit, check
from scenes.description import SceneDescription

GOOD = {"summary": "A dog on a sofa.", "detail": "A small brown dog sleeps on a red sofa."}


def reply(text: str, finish_reason: str = "stop") -> Reply:
    return Reply(text, finish_reason, 1, 1, 0.0)


def test_a_good_reply_is_a_description() -> None:
    assert check(reply(json.dumps(GOOD))) == SceneDescription(**GOOD)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        (json.dumps(GOOD), "length", "reply_cut"),
        ('{"summary": "A dog', "stop", "reply_invalid"),
        ('{"summary": "a raw\x01control character"}', "stop", "reply_invalid"),
        ('{"summary": "a NUL \\u0000 inside"}', "stop", "reply_invalid"),
        (json.dumps(GOOD | {"mood": "calm"}), "stop", "reply_invalid"),
        (json.dumps({"detail": ""}), "stop", "reply_invalid"),
        ("{" + " \n" * 5_000, "length", "reply_cut"),
        (json.dumps({"detail": "I'm sorry, I cannot see the image."}), "stop", "reply_boilerplate"),
        (json.dumps({"detail": "the dog sits on the sofa and " * 30}), "stop", "reply_repeats"),
        (json.dumps({"detail": "x", "objects": [{"name": "dog"}] * 5}), "stop", "reply_repeats"),
    ],
)
def test_other_replies_do_not_count(text: str, finish_reason: str, reason: str) -> None:
    found = check(reply(text, finish_reason))
    assert isinstance(found, Unfit)
    assert found.reason == reason

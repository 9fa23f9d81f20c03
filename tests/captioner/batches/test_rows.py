"""Which of two records of an image stands."""

from captioner.batches.rows import SETTLED, rank
from scenes.outcome import FailureReason


def test_what_is_known_of_an_image_outranks_that_it_could_not_be_asked() -> None:
    away = [rank("failed", 0, reason) for reason in (FailureReason.ENGINE_ERROR, "timeout", FailureReason.READ_ERROR)]
    told = [rank("failed", 0, reason) for reason in (FailureReason.REPLY_CUT, "reply_invalid", FailureReason.CLONE)]
    assert max(away) < min(told) < rank("failed", 1, "timeout")


def test_a_description_outranks_a_refusal_outranks_every_failure() -> None:
    assert rank("failed", 1_000, "reply_cut") < SETTLED <= rank("refused", 0) < rank("described", 0)
    assert rank("described", 1_000) < 255

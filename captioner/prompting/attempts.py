"""From a picture to its outcome: ask, check the reply, ask again a little warmer and with more room, verify.

The conversation is a generator that yields requests and is sent their answers: it does no I/O and knows no engine.
"""

from collections.abc import Generator
from dataclasses import dataclass

from captioner.engines.engine import Answer, EngineFault, Reply, Request
from captioner.images.decoding import Decoded
from captioner.prompting.replies import Unfit, check
from captioner.prompting.verification import UNVERIFIED, Verdict, questions, weigh
from scenes.description import SceneDescription
from scenes.outcome import Described, Failed, Usage
from scenes.recipe import CaptionRecipe, Sampling

MAX_ATTEMPTS = 3
_WARMER = 0.3
_MORE_ROOM = 1.5
_LONGEST_KEPT = 20_000

Conversation = Generator[list[Request], list[Answer], Described | Failed]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to ask: the recipe, whether the engine can verify, and the first attempt's number (later ones vary more)."""

    recipe: CaptionRecipe
    can_verify: bool = False
    first_attempt: int = 1


def converse(decoded: Decoded, manner: Manner) -> Conversation:
    """Ask until a reply counts, at most `MAX_ATTEMPTS` times; an engine's fault ends it at once."""
    usage, key = Usage(attempts=0), decoded.picture.image_id
    outcome: Described | Failed
    for attempt in range(manner.first_attempt, manner.first_attempt + MAX_ATTEMPTS):
        (answer,) = yield [Request(decoded.picture, escalated(manner.recipe.sampling, attempt))]
        usage = _one_more(usage, [answer])
        if isinstance(answer, EngineFault):
            return Failed(image_id=key, reason=answer.reason, detail=kept(answer.detail), usage=usage)
        found = check(answer)
        if isinstance(found, SceneDescription):
            outcome = Described(
                image_id=key, description=found, notes=decoded.notes, exif=dict(decoded.exif), usage=usage
            )
            return (yield from _verified(outcome, decoded, manner))
        outcome = _unfit(key, found, answer, usage)
    return outcome


def escalated(sampling: Sampling, attempt: int) -> Sampling:
    """The sampling of an attempt, counted from 1."""
    if attempt == 1:
        return sampling
    return sampling.model_copy(
        update={
            "temperature": min(sampling.temperature + _WARMER * (attempt - 1), 1.0),
            "max_tokens": int(sampling.max_tokens * _MORE_ROOM ** min(attempt - 1, MAX_ATTEMPTS - 1)),
            "seed": sampling.seed + attempt - 1,
        }
    )


def _verified(outcome: Described, decoded: Decoded, manner: Manner) -> Conversation:
    policy = manner.recipe.verification
    asked = questions(outcome.description) if policy.mode != "off" and manner.can_verify else {}
    if not asked:
        return outcome
    greedy = Sampling(max_tokens=1)
    answers = yield [Request(decoded.picture, greedy, question) for question in asked.values()]
    usage = _one_more(outcome.usage, answers, attempts=0)
    fault = next((answer for answer in answers if isinstance(answer, EngineFault)), None)
    if fault is not None:
        return Failed(image_id=outcome.image_id, reason=fault.reason, detail=kept(fault.detail), usage=usage)
    yes = {pointer: answer.yes for pointer, answer in zip(asked, answers, strict=True) if isinstance(answer, Reply)}
    return _with(outcome, weigh(outcome.description, yes, policy), usage)


def _with(outcome: Described, verdict: Verdict, usage: Usage) -> Described:
    notes = (*outcome.notes, UNVERIFIED) if verdict.unanswered else outcome.notes
    return outcome.model_copy(
        update={
            "description": verdict.description,
            "support": verdict.support,
            "notes": (*notes, *verdict.notes),
            "usage": usage,
        }
    )


def _unfit(key: str, found: Unfit, reply: Reply, usage: Usage) -> Failed:
    return Failed(
        image_id=key, reason=found.reason, detail=kept(found.detail), last_reply=kept(reply.text), usage=usage
    )


def kept(text: str) -> str:
    """A text as any store can keep it: no NUL, no lone surrogates, of bounded length."""
    return text[:_LONGEST_KEPT].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _one_more(before: Usage, answers: list[Answer], attempts: int = 1) -> Usage:
    replies = [answer for answer in answers if isinstance(answer, Reply)]
    return Usage(
        tokens_in=before.tokens_in + sum(reply.tokens_in for reply in replies),
        tokens_out=before.tokens_out + sum(reply.tokens_out for reply in replies),
        seconds=before.seconds + sum(reply.seconds for reply in replies),
        attempts=before.attempts + attempts,
    )

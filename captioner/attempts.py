"""Attempts escalate: a reply that did not count is asked for again, a little warmer and with more room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from captioner.decoding import Decoded
from captioner.describer import Describer, EngineFault, Reply, Request
from captioner.replies import Unfit, check
from scenes.outcome import Described, Failed, Usage
from scenes.recipe import Sampling

MAX_ATTEMPTS = 3
_WARMER = 0.3
_MORE_ROOM = 1.5


@dataclass(frozen=True, slots=True)
class _Open:
    """A picture without an outcome yet."""

    decoded: Decoded
    usage: Usage
    attempt: int


def describe(
    describer: Describer, batch: Sequence[Decoded], is_stopping: Callable[[], bool] = lambda: False
) -> list[Described | Failed]:
    """One outcome a picture, in order; a picture fails after `MAX_ATTEMPTS` replies that did not count."""
    results: dict[int, Described | Failed] = {}
    open_: dict[int, _Open] = {i: _Open(decoded, Usage(attempts=0), 1) for i, decoded in enumerate(batch)}
    while open_:
        asked = list(open_.items())
        requests = [Request(one.decoded.picture, escalated(describer.recipe.sampling, one.attempt)) for _, one in asked]
        for (i, one), reply in zip(asked, describer.describe(requests), strict=True):
            outcome = _judge(one, reply)
            last = one.attempt >= MAX_ATTEMPTS or is_stopping()
            if isinstance(outcome, Failed) and isinstance(reply, Reply) and not last:
                open_[i] = _Open(one.decoded, outcome.usage, one.attempt + 1)
            else:
                results[i] = outcome
                del open_[i]
    return [results[i] for i in range(len(batch))]


def escalated(sampling: Sampling, attempt: int) -> Sampling:
    """The sampling of an attempt, counted from 1."""
    if attempt == 1:
        return sampling
    return sampling.model_copy(
        update={
            "temperature": min(sampling.temperature + _WARMER * (attempt - 1), 1.0),
            "max_tokens": int(sampling.max_tokens * _MORE_ROOM ** (attempt - 1)),
            "seed": sampling.seed + attempt - 1,
        }
    )


def _judge(one: _Open, reply: Reply | EngineFault) -> Described | Failed:
    key = one.decoded.picture.image_id
    if isinstance(reply, EngineFault):
        return Failed(image_id=key, reason=reply.reason, detail=reply.detail, usage=_one_more(one.usage, None))
    usage = _one_more(one.usage, reply)
    found = check(reply)
    if isinstance(found, Unfit):
        return Failed(image_id=key, reason=found.reason, detail=found.detail, last_reply=reply.text, usage=usage)
    return Described(image_id=key, description=found, notes=one.decoded.notes, usage=usage)


def _one_more(before: Usage, reply: Reply | None) -> Usage:
    return Usage(
        tokens_in=before.tokens_in + (reply.tokens_in if reply else 0),
        tokens_out=before.tokens_out + (reply.tokens_out if reply else 0),
        seconds=before.seconds + (reply.seconds if reply else 0.0),
        attempts=before.attempts + 1,
    )

"""The closing table of a captioning run, in words and as JSON."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.cli.output import INTERRUPTED, Tick

if TYPE_CHECKING:
    from captioner.run import Tally


def as_json(tally: "Tally") -> dict[str, Any]:
    """The contract's keys: the four counts add up to `inputs`."""
    return {
        "described": tally.described,
        "refused": tally.refused,
        "failed": tally.failed,
        "already": tally.already,
        "inputs": tally.inputs,
        "seconds": round(tally.seconds, 3),
        "reasons": dict(tally.reasons),
        "attempts": {str(attempt): n for attempt, n in sorted(tally.attempts.items())},
        "tokens_in": tally.tokens_in,
        "tokens_out": tally.tokens_out,
        "stopped": tally.stopped,
    }


def as_text(tally: "Tally") -> str:
    """A small table for people."""
    lines = table({name: getattr(tally, name) for name in ("described", "already", "refused", "failed")}, tally.reasons)
    pace = tally.described / tally.seconds if tally.seconds else 0.0
    return "\n".join([*lines, f"{tally.inputs} images in {tally.seconds:.1f} s, {pace:.1f} described/s"])


def table(counts: Mapping[str, int], reasons: Counter[str]) -> list[str]:
    """Counts, and under them how often each reason was given, the most frequent first."""
    lines = [f"{name:<12}{n:>8}" for name, n in counts.items()]
    return lines + [f"  {reason:<18}{n:>4}" for reason, n in reasons.most_common()]


def exit_code(tally: "Tally") -> int:
    """0 done, 1 some failed, 130 stopped."""
    return INTERRUPTED if tally.stopped else 1 if tally.failed else 0


def ticker(tick: Tick) -> "Any":
    """Shows a tally on a progress line."""

    def show(tally: "Tally") -> None:
        tick(tally.inputs, None, f"{tally.described} described, {tally.refused} refused, {tally.failed} failed")

    return show

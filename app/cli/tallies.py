"""What a captioning run tells: the progress line, the closing table, the same as JSON."""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from app.cli import output
from app.cli.output import INTERRUPTED, Tick

if TYPE_CHECKING:
    from captioner.pipeline.estimate import Estimate
    from captioner.pipeline.progress import Journal
    from captioner.pipeline.tally import Tally

_REDRAW_S = 0.5
_KINDS = ("described", "refused", "failed")


def show(as_json: bool, tally: "Tally", more: Mapping[str, Any]) -> None:
    """Print how a run ended."""
    output.result(as_json, {**as_json_body(tally), **more}, as_text(tally))


def as_json_body(tally: "Tally") -> dict[str, Any]:
    """The contract's keys: the four counts add up to `inputs`."""
    return {
        "described": tally.described,
        "refused": tally.refused,
        "failed": tally.failed,
        "already": tally.already,
        "inputs": tally.inputs,
        "seconds": round(tally.seconds, 3),
        "reasons": dict(tally.reasons),
        "attempts": {str(attempt): sum(kinds.values()) for attempt, kinds in _by_attempt(tally).items()},
        "tokens_in": tally.tokens_in,
        "tokens_out": tally.tokens_out,
        "stopped": tally.stopped,
        "ended_by": tally.ended_by,
    }


def as_text(tally: "Tally") -> str:
    """A small table for people; under it, on which attempt things ended."""
    lines = table({name: getattr(tally, name) for name in ("described", "already", "refused", "failed")}, tally.reasons)
    by_attempt = _by_attempt(tally)
    if len(by_attempt) > 1:
        lines += [f"attempt {n}: " + ", ".join(f"{k} {m}" for k, m in kinds.items()) for n, kinds in by_attempt.items()]
    pace = tally.described / tally.seconds if tally.seconds else 0.0
    lines.append(f"{tally.inputs} images in {tally.seconds:.1f} s, {pace:.1f} described/s")
    if tally.tokens_in or tally.tokens_out:
        lines.append(f"{tally.tokens_in} tokens in, {tally.tokens_out} out")
    return "\n".join([*lines, *([f"ended by a {tally.ended_by}"] if tally.ended_by else [])])


def table(counts: Mapping[str, int | str], reasons: Counter[str]) -> list[str]:
    """Counts, and under them how often each reason was given, the most frequent first."""
    lines = [f"{name:<12}{n:>8}" for name, n in counts.items()]
    return lines + [f"  {reason:<18}{n:>4}" for reason, n in reasons.most_common()]


def exit_code(tally: "Tally") -> int:
    """0 done, 1 some failed, 130 stopped."""
    return INTERRUPTED if tally.stopped else 1 if tally.failed else 0


def ticker(tick: Tick, journal: "Journal | None" = None) -> Any:
    """Shows a tally on a progress line, a few times a second at most."""
    last = 0.0

    def see(tally: "Tally") -> None:
        nonlocal last
        if time.monotonic() - last < _REDRAW_S:
            return
        last = time.monotonic()
        note = ", ".join(f"{getattr(tally, kind)} {kind}" for kind in _KINDS)
        if journal is None:
            tick(tally.inputs, None, note)
        else:
            now = journal.see(tally)
            pace = f"{now.images_a_second:.1f}/s (all {now.images_a_second_overall:.1f}/s)"
            tokens = f"{now.tokens_in}+{now.tokens_out} tokens"
            tick(now.inputs, now.total, f"{note}, {pace}, {tokens}, {_left(now.total, now.inputs, now.seconds_left)}")

    return see


def run_line(run: Mapping[str, Any]) -> str:
    """One known run for people."""
    state = "complete" if run["complete"] else f"last seen {time.time() - run['updated']:.0f} s ago"
    left = _left(run["total"], run["inputs"], run["seconds_left"])
    return f"{run['source']} ({run['shard']}): {run['inputs']} done, {left}, {run['images_a_second']:.1f}/s, {state}"


def estimate_as_json(told: "Estimate") -> dict[str, Any]:
    """The contract's keys: everything is pending; the counts are the sample's."""
    return {
        "pending": told.images,
        **{kind: getattr(told.sample, kind) for kind in _KINDS},
        "reasons": dict(told.sample.reasons),
        "sample": told.sample.inputs,
        "images": told.images,
        "tokens_in": told.tokens_in,
        "tokens_out": told.tokens_out,
        "hours": round(told.hours, 4),
        "gpu_hours": round(told.hours, 4),
        "disk_bytes": told.disk_bytes,
    }


def estimate_as_text(body: Mapping[str, Any]) -> str:
    """The estimate for people."""
    lines = [
        f"{body['images']} images, from a sample of {body['sample']}:",
        f"  tokens    {body['tokens_in']} in, {body['tokens_out']} out",
        f"  time      {timedelta(hours=body['hours'])} on this machine",
        f"  disk      {body['disk_bytes'] / 1e6:.1f} MB of batches",
    ]
    return "\n".join(lines + ([f"  price     {body['price']}"] if body["price"] is not None else []))


def _by_attempt(tally: "Tally") -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for (attempt, kind), n in sorted(tally.attempts.items()):
        found.setdefault(attempt, {})[kind] = n
    return found


def _left(total: int | None, done: int, seconds_left: float | None) -> str:
    if total is None:
        return "? left"
    time_left = f" in {timedelta(seconds=round(seconds_left))}" if seconds_left is not None else ""
    return f"{max(0, total - done)} left{time_left}"

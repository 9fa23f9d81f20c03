"""Signals and SIGKILLs at random moments under load, twenty of each: nothing is left, no acknowledged write is lost.

Each campaign runs in parts of a few rounds, each on a fresh site. What a part found is stored when it ends, under the
digest of the measured code, so that a stopped run goes on with the next part.
"""

import json
import os
import random
from dataclasses import asdict
from typing import Any

from benchmarks.recording import ROOT, code_digest, record
from scenes.artifact import write_file
from tests.app.life.campaign import ACTS, end, running_site, wage

MEASURED = ("app", "indexer", "scenes", "captioner", "benchmarks/long_life.py", "tests/app/kills", "tests/app/life")
ROUNDS = int(os.environ.get("LONG_ROUNDS", "20"))
A_PART = 5
SEED = 20_261_130
PARTS = ROOT / ".build" / "long_life.json"
_SUMMED = ("rounds", "acknowledged", "searches", "searches_lost", "uploads")
_WORST = ("slowest_s", "away_s")
_FAULTS = ("lost", "doubled", "untyped")


def main() -> None:
    """Raises `AssertionError` where something was left behind, lost, doubled or answered without a code."""
    parts = _stored()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ACTS:
        for first in range(0, ROUNDS, A_PART):
            rounds = min(A_PART, ROUNDS - first)
            part = f"{name}, {rounds} rounds from {first}"
            if part not in parts["done"]:
                parts["done"][part] = _fought(name, first, rounds)
                write_file(PARTS, json.dumps(parts, indent=1).encode())
            found.setdefault(name, []).append(parts["done"][part])
    figures = {name: _together(outcomes) for name, outcomes in found.items()}
    print(json.dumps(figures, indent=1))
    if ROUNDS >= 20:
        record("long_life", figures, measured=MEASURED, seed=SEED)
        PARTS.unlink(missing_ok=True)


def _fought(name: str, first: int, rounds: int) -> dict[str, Any]:
    """One part. A server that was stopped in order loses no stored search; one that was killed may."""
    chance = random.Random(f"{SEED} {name} {first}")
    with running_site() as site:
        outcome = wage(site, name, rounds, chance)
        end(site)
    print(f"{name}, from round {first}: {outcome}", flush=True)
    assert not any(getattr(outcome, fault) for fault in _FAULTS), outcome
    assert name.startswith("SIGKILL") or not outcome.searches_lost, outcome
    return asdict(outcome)


def _stored() -> dict[str, Any]:
    digest = code_digest(MEASURED)
    if PARTS.is_file() and (parts := json.loads(PARTS.read_text()))["code_sha256"] == digest:
        return dict(parts)
    PARTS.parent.mkdir(exist_ok=True)
    return {"code_sha256": digest, "done": {}}


def _together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {name: sum(one[name] for one in parts) for name in _SUMMED}
    figures |= {name: max(one[name] for one in parts) for name in _WORST}
    return figures | {name: sum(len(one[name]) for one in parts) for name in _FAULTS}


if __name__ == "__main__":
    main()

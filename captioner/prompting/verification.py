"""The verification gate: a second look at each stated object before the image is gone.

Each object becomes a yes/no question; the engine's probability of 'yes' is the claim's support, kept under the
JSON Pointer of the object. Under the recipe's floor a claim is marked, or dropped from the description.
Claim-by-claim checking raises factuality at the same coverage (see docs/decisions/006).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scenes.description import SceneDescription, SceneObject
from scenes.recipe import Verification

UNVERIFIED = "not verified: no log-probabilities for some objects"
_MOST_QUESTIONS = 24


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification made of a description."""

    description: SceneDescription
    support: dict[str, float]
    notes: tuple[str, ...]
    unanswered: int


def questions(description: SceneDescription) -> dict[str, str]:
    """JSON Pointer of an object → the question about it; the first 24 objects."""
    return {f"/objects/{i}": _question(thing) for i, thing in enumerate(description.objects[:_MOST_QUESTIONS])}


def weigh(description: SceneDescription, yes: Mapping[str, float | None], policy: Verification) -> Verdict:
    """Support values by pointer; in mode 'drop' objects below the floor leave and the others' pointers move up.

    A description that says nothing but objects keeps them all, marked: an empty one would be no description.
    """
    support = {pointer: round(value, 4) for pointer, value in yes.items() if value is not None}
    unanswered = len(yes) - len(support)
    low = [i for i in range(len(description.objects)) if support.get(f"/objects/{i}", 1.0) < policy.floor]
    if not low:
        return Verdict(description, support, (), unanswered)
    kept = [i for i in range(len(description.objects)) if i not in low]
    if policy.mode != "drop" or not (kept or description.summary or description.detail):
        return Verdict(description, support, (f"{len(low)} objects below the support floor",), unanswered)
    left = description.model_copy(update={"objects": tuple(description.objects[i] for i in kept)})
    moved = {f"/objects/{new}": support[f"/objects/{i}"] for new, i in enumerate(kept) if f"/objects/{i}" in support}
    return Verdict(left, moved, (f"{len(low)} unsupported objects dropped",), unanswered)


def yes_share(candidates: Iterable[tuple[str, float]]) -> float | None:
    """P(yes) against P(no) from the first token's (text, log-probability) pairs; None where neither is among them."""
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in candidates:
        word = token.strip(" \u0120\u2581.,\n").lower()
        if word in mass:
            mass[word] += math.exp(logprob)
    total = mass["yes"] + mass["no"]
    return mass["yes"] / total if total > 0.0 else None


def _question(thing: SceneObject) -> str:
    words = " ".join(dict.fromkeys((*thing.attributes[:2], *([thing.colour] if thing.colour else []), thing.name)))
    return f"Is this in the image: {words}? Answer with one word, yes or no."

"""Calibration: fine-tunes the encoder so that a short query finds its long description. Text only, resumable.

What a step reads depends on the seed and the step alone, so a stopped training goes on as if it had not been.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.calibration.checkpoint import load_checkpoint, save_checkpoint
from indexer.calibration.counterfactuals import Counterfactuals, Pair
from indexer.calibration.model import DESCRIPTION_TOKENS, QUERY_TOKENS, Trainee
from indexer.calibration.objective import Weights, loss
from indexer.calibration.pairs import Example

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import AdamW

Tick = Callable[[int, int, float], None]
Judge = Callable[[], float]
CHECKPOINT_STEPS = 25


@dataclass(frozen=True, slots=True)
class Plan:
    """How a training runs; `passes` counts how often each caption asks once."""

    seed: int = 0
    passes: float = 1.2
    batch: int = 64
    twins: float = 0.4
    learning_rate: float = 4e-5
    warm_up: float = 0.1
    averaging: float = 0.99
    weight_decay: float = 0.01
    judged: int = 4
    weights: Weights = field(default_factory=Weights)

    @property
    def originals(self) -> int:
        """How many examples a batch draws; the rest are their counterfactuals."""
        return max(2, int(self.batch / (1 + self.twins)))

    def steps(self, examples: Sequence[Example]) -> int:
        asking = sum(len(example.asking) for example in examples)
        return max(1, int(asking * self.passes / self.originals))


@dataclass(slots=True)
class Progress:
    """Where a training is: the running loss, each judgement (step, value), and the best one's averaged weights."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    judgements: list[tuple[int, float]] = field(default_factory=list)
    best: "dict[str, Tensor]" = field(default_factory=dict)


def train(
    trainee: Trainee,
    examples: Sequence[Example],
    counterfactuals: Counterfactuals,
    plan: Plan,
    folder: Path,
    *,
    identity: str,
    judge: Judge,
    tick: Tick,
) -> Progress:
    """Train, judge the averaged weights on the way, and leave the best ones in the model.

    `judge` measures the model as it stands on held-out images, higher is better; training that no longer gains
    keeps the earlier weights. Progress is kept in `folder` every 25 steps; `identity` names the data and the base.
    """
    run = _Run(trainee, plan, plan.steps(examples), folder, identity)
    while run.progress.step < run.steps:
        pairs, twins = batch(examples, counterfactuals, plan, run.progress.step)
        run.learn(pairs, twins)
        if run.progress.step % max(1, run.steps // plan.judged) == 0 or run.progress.step == run.steps:
            run.judged(judge)
        if run.progress.step % CHECKPOINT_STEPS == 0:
            run.keep()
        tick(run.progress.step, run.steps, run.progress.losses[-1])
    run.take(run.progress.best)
    return run.progress


def batch(
    examples: Sequence[Example], counterfactuals: Counterfactuals, plan: Plan, step: int
) -> tuple[list[Pair], list[tuple[int, int]]]:
    """The pairs of a step, originals first, and which rows are each other's counterfactual."""
    rng = random.Random(f"{plan.seed}:{step}")
    pairs = [examples[place].drawn(rng) for place in _places(len(examples), plan, step)]
    twins: list[tuple[int, int]] = []
    for place in range(len(pairs)):
        if len(pairs) == plan.batch:
            break
        twin = counterfactuals.of(pairs[place], rng)
        if twin is not None:
            twins.append((place, len(pairs)))
            pairs.append(twin)
    return pairs, twins


def _places(count: int, plan: Plan, step: int) -> Iterator[int]:
    each = min(plan.originals, count)
    per_round = max(1, count // each)
    order = list(range(count))
    random.Random(f"{plan.seed}:round:{step // per_round}").shuffle(order)
    start = (step % per_round) * each
    return iter(order[start : start + each])


class _Run:
    def __init__(self, trainee: Trainee, plan: Plan, steps: int, folder: Path, identity: str) -> None:
        import torch

        torch.manual_seed(plan.seed)
        self.steps = steps
        self.progress = Progress()
        self._trainee = trainee
        self._plan = plan
        self._folder = folder
        self._settings = asdict(plan) | {"identity": identity}
        self._parameters = trainee.trained()
        self._optimizer: AdamW = torch.optim.AdamW(
            self._parameters.values(), plan.learning_rate, weight_decay=plan.weight_decay
        )
        self._average = {name: value.detach().clone() for name, value in self._parameters.items()}
        self._resume()

    def learn(self, pairs: list[Pair], twins: list[tuple[int, int]]) -> None:
        import torch

        self._trainee.model.train()
        torch.manual_seed(self._plan.seed * 1_000_003 + self.progress.step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.learning_rate * self._slope()
        queries = self._trainee.encode([query for query, _ in pairs], QUERY_TOKENS)
        descriptions = self._trainee.encode([text for _, text in pairs], DESCRIPTION_TOKENS)
        total = loss(queries, descriptions, twins, self._plan.weights)
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), 1.0)
        self._optimizer.step()
        self.progress.step += 1
        self.progress.losses.append(round(float(total.detach()), 5))
        self._blend()

    def judged(self, judge: Judge) -> None:
        current = {name: value.detach().clone() for name, value in self._parameters.items()}
        self.take(self._average)
        self._trainee.model.eval()
        value = judge()
        if value >= max((earlier for _, earlier in self.progress.judgements), default=0.0):
            self.progress.best = {name: average.clone() for name, average in self._average.items()}
        self.progress.judgements.append((self.progress.step, value))
        self.take(current)

    def take(self, weights: "dict[str, Tensor]") -> None:
        import torch

        with torch.no_grad():
            for name, value in weights.items():
                self._parameters[name].copy_(value)

    def keep(self) -> None:
        state = {
            "plan": self._settings,
            "progress": asdict(self.progress),
            "model": dict(self._parameters),
            "average": self._average,
            "optimizer": self._optimizer.state_dict(),
        }
        save_checkpoint(self._folder, state)

    def _resume(self) -> None:
        state: dict[str, Any] | None = load_checkpoint(self._folder, self._settings)
        if state is not None:
            self.take(state["model"])
            self._average = state["average"]
            self._optimizer.load_state_dict(state["optimizer"])
            self.progress = Progress(**state["progress"])

    def _slope(self) -> float:
        """Rises over the warm-up, then falls to nearly nothing."""
        step = self.progress.step
        return min(1.0, (step + 1) / max(1.0, self.steps * self._plan.warm_up)) * max(0.02, 1 - step / self.steps)

    def _blend(self) -> None:
        """Switch EMA's averaging (Li et al. 2024), with the average followed closely at first."""
        import torch

        share = min(self._plan.averaging, self.progress.step / (9 + self.progress.step))
        with torch.no_grad():
            for name, average in self._average.items():
                average.lerp_(self._parameters[name], 1 - share)

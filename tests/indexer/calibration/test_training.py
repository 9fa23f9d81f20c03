"""Training on the real encoder: it changes weights, resumes as if never stopped, and ships as a small difference."""

from pathlib import Path

import numpy as np
import pytest

from indexer.calibration.calibrating import projection
from indexer.calibration.counterfactuals import Counterfactuals
from indexer.calibration.encoder_delta import apply_delta, write_delta
from indexer.calibration.model import Trainee
from indexer.calibration.pairs import Example
from indexer.calibration.training import Plan, Progress, train
from indexer.encoding.sentence_encoder import SentenceEncoder
from indexer.encoding.token_head import HEAD
from scenes.errors import BadInput
from scenes.weights.registry import BASE_ENCODER, find_model
from tests.indexer.encoding.tiny_encoder import tiny_encoder

pytestmark = pytest.mark.encoder
EXAMPLES = [
    Example(f"i{n}", (f"a {colour} {thing}", f"the {thing} is {colour}", f"one {thing}, {colour}"), None)
    for n, (colour, thing) in enumerate((c, t) for c in ("red", "blue") for t in ("bus", "dog", "cup"))
]
PLAN = Plan(batch=4, passes=0.6, judged=2)


class Stopped(Exception):
    pass


def trained(folder: Path, base: str, stop_at: int | None = None, plan: Plan = PLAN) -> tuple[SentenceEncoder, Progress]:
    encoder = SentenceEncoder.load(base)

    def tick(step: int, _steps: int, _loss: float) -> None:
        if step == stop_at:
            raise Stopped

    progress = train(
        Trainee(encoder.model),
        EXAMPLES,
        Counterfactuals({"bus": ("cup",)}),
        plan,
        folder,
        identity="test",
        judge=lambda: 0.5,
        tick=tick,
    )
    return encoder, progress


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.calibration.training.CHECKPOINT_STEPS", 1)
    base = tiny_encoder(tmp_path)
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole, progress = trained(tmp_path / "whole", base)
    with pytest.raises(Stopped):
        trained(tmp_path / "stopped", base, stop_at=2)
    resumed, again = trained(tmp_path / "stopped", base)
    assert (progress.step, progress.losses, progress.judgements) == (again.step, again.losses, again.judgements)
    assert np.array_equal(whole.encode_queries(["a red bus"]).vectors, resumed.encode_queries(["a red bus"]).vectors)
    plain = SentenceEncoder.load(base).encode_queries(["a red bus"]).vectors
    assert not np.array_equal(plain, whole.encode_queries(["a red bus"]).vectors)
    with pytest.raises(BadInput, match="other settings"):
        trained(tmp_path / "stopped", base, plan=Plan(batch=4, passes=0.6, seed=1))


def test_a_calibrated_encoder_ships_as_a_small_difference(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    encoder, _ = trained(tmp_path / "run", BASE_ENCODER)
    encoder.model.save(str(tmp_path / "whole"))
    np.save(tmp_path / "whole" / HEAD, projection(encoder, [text for one in EXAMPLES for text in one.asking], 16))
    write_delta(find_model(BASE_ENCODER), tmp_path / "whole", tmp_path / "delta.npz")
    apply_delta(find_model(BASE_ENCODER), tmp_path / "delta.npz", tmp_path / "made")
    assert (tmp_path / "delta.npz").stat().st_size < 20_000_000
    texts = ["a red bus in the snow", "two dogs"]
    one, other = (SentenceEncoder.load(str(tmp_path / name)).encode_queries(texts) for name in ("whole", "made"))
    assert np.min(np.sum(one.vectors * other.vectors, axis=1)) > 0.9999
    assert one.words[0].shape == other.words[0].shape == (6, 16)
    assert np.min(np.sum(one.words[0] * other.words[0], axis=1)) > 0.999

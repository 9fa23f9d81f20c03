"""An engine that dies in mid-run: the rest is not lost, and who kills it alone is found."""

import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from vllm import LLM
from vllm.v1.engine.exceptions import EngineDeadError

from captioner.engines.engine import EngineFault, Picture, Reply, Request
from captioner.engines.vllm import VllmDescriber
from scenes.recipe import CaptionRecipe, Sampling
from tests.vllm.engine import SETTINGS
from tests.vllm.tiny_model import build

pytestmark = pytest.mark.vllm
RECIPE = CaptionRecipe(engine="vllm", model="tiny", prompt="scene-1")
POISON = (255, 0, 0)


class FakeLLM:
    """vLLM's offline protocol without a model: a step answers one request, or dies where a poison is inside."""

    def __init__(self) -> None:
        scheduler = SimpleNamespace(max_num_seqs=4)
        self.llm_engine = SimpleNamespace(
            step=self._step, vllm_config=SimpleNamespace(scheduler_config=scheduler), engine_core=None
        )
        self._inside: dict[str, bool] = {}
        self._dead = False
        self._asked = 0

    def enqueue_chat(self, messages: list[Any], parameters: list[Any], *, use_tqdm: bool) -> list[str]:
        if self._dead:
            raise EngineDeadError
        (message,), (_,) = messages[0], parameters
        self._asked += 1
        self._inside[str(self._asked)] = _is_poison(message)
        return [f"{self._asked}-random"]

    def _step(self) -> list[Any]:
        if any(self._inside.values()):
            self._dead = True
            raise EngineDeadError
        key = next(iter(self._inside))
        del self._inside[key]
        said = SimpleNamespace(text=key, finish_reason="stop", token_ids=[1], logprobs=None)
        return [SimpleNamespace(finished=True, request_id=key, outputs=[said], prompt_token_ids=[1])]


def requests(n: int, poisons: set[int]) -> list[Request]:
    shades = [POISON if i in poisons else (0, i, 90) for i in range(n)]
    return [
        Request(Picture(f"{i:064x}", Image.new("RGB", (64, 64), s)), Sampling(max_tokens=60))
        for i, s in enumerate(shades)
    ]


def _is_poison(message: Any) -> bool:
    pixels: Image.Image = message["content"][0]["image_pil"]
    return pixels.getpixel((0, 0)) == POISON


@pytest.mark.parametrize("poisons", [set(), {0}, {5, 6}, {0, 7, 8, 19}, set(range(3, 9))])
def test_only_the_poison_is_lost(poisons: set[int]) -> None:
    started = []

    def start() -> FakeLLM:
        started.append(FakeLLM())
        return started[-1]

    describer = VllmDescriber(start, RECIPE)
    futures = [describer.submit(request) for request in requests(20, poisons)]
    answers = [future.result(timeout=20) for future in futures]
    describer.close()
    assert {n for n, answer in enumerate(answers) if isinstance(answer, EngineFault)} == poisons
    assert len(started) <= 1 + 3 * len(poisons)


def test_an_engine_that_can_not_be_started_again_answers_everything_with_its_fault() -> None:
    engines = [FakeLLM()]

    def start() -> FakeLLM:
        if not engines:
            raise RuntimeError("no device is left")
        return engines.pop()

    describer = VllmDescriber(start, RECIPE)
    answers = [future.result(timeout=20) for future in [describer.submit(one) for one in requests(9, {0})]]
    late = describer.submit(requests(1, set())[0]).result(timeout=20)
    describer.close()
    told = {answer.detail for answer in [*answers, late] if isinstance(answer, EngineFault)}
    assert told == {"RuntimeError: no device is left"}
    assert isinstance(late, EngineFault)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A model whose engine runs in a process of its own, as it does on a GPU."""
    for name, value in (SETTINGS | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}).items():
        monkeypatch.setenv(name, value)
    return build(tmp_path / "tiny")


def real(model: Path) -> LLM:
    return LLM(
        model=str(model), enforce_eager=True, dtype="float32", max_model_len=4096, max_num_seqs=8,
        limit_mm_per_prompt={"image": 1}, structured_outputs_config={"backend": "guidance"},
    )  # fmt: skip


def kill_engine() -> None:
    """SIGKILL to the process of the engine."""
    (core,) = [child for child in multiprocessing.active_children() if child.name.startswith("EngineCore")]
    os.kill(core.pid or 0, signal.SIGKILL)


@pytest.mark.long
def test_a_real_engine_killed_in_mid_run_is_started_again_and_nothing_is_lost(apart: Path) -> None:
    started = []
    describer = VllmDescriber(lambda: started.append(1) or real(apart), RECIPE)
    futures = [describer.submit(one) for one in requests(12, set())]
    futures[0].result(timeout=100)
    kill_engine()
    answers = [future.result(timeout=100) for future in futures]
    describer.close()
    assert [type(answer) for answer in answers] == [Reply] * 12, answers
    assert len(started) == 2


@pytest.mark.long
def test_a_picture_that_kills_a_real_engine_costs_only_itself(apart: Path) -> None:
    started = []

    def start() -> LLM:
        started.append(1)
        llm = real(apart)
        enqueue = llm.enqueue_chat

        def deadly(messages: list[Any], *given: Any, **named: Any) -> list[str]:
            keys = enqueue(messages, *given, **named)
            if _is_poison(messages[0][0]):
                kill_engine()
            return keys

        llm.enqueue_chat = deadly
        return llm

    describer = VllmDescriber(start, RECIPE)
    answers = [future.result(timeout=100) for future in [describer.submit(one) for one in requests(6, {2})]]
    describer.close()
    assert [type(answer) for answer in answers] == [Reply, Reply, EngineFault, Reply, Reply, Reply], answers
    assert len(started) == 3

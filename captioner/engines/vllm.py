"""The one door to vLLM: `vllm.LLM` in this process, replies constrained to the schema, requests streamed in.

One thread owns the engine: it admits requests as they come and steps, so that preparing pictures overlaps with
generating. A request that can't be admitted is a fault of its own. An engine that dies is built again; what it was
doing is asked again one at a time, and who kills it alone is the poison.
"""

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from captioner.engines.engine import Answer, EngineFault, Reply, Request
from captioner.engines.options import parse
from captioner.engines.vllm_watch import Watch
from captioner.prompting.prompt import DEFAULT_PROMPT, prompt, reply_schema
from captioner.prompting.verification import yes_share
from scenes.errors import BadInput, EnvironmentMissing
from scenes.outcome import FailureReason
from scenes.recipe import CaptionRecipe, Sampling

DEFAULT_MODEL = "OpenGVLab/InternVL3-8B-hf"
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
_NOT_RESULTS = {
    "tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization", "enforce_eager", "max_num_seqs",
    "distributed_executor_backend", "max_num_batched_tokens", "swap_space", "cpu_offload_gb", "disable_log_stats",
}  # fmt: skip
_TOP_LOGPROBS = 20
_MOST_RESTARTS = 20
"""Engines in a row that die without one reply: then there is no engine any more."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Open:
    """A request and the future of its answer; `tried` counts the engines that died with it."""

    request: Request
    future: "Future[Answer]"
    started: float = 0.0
    tried: int = 0


class VllmDescriber:
    """Chat with one picture a request, many requests in the engine at a time."""

    def __init__(self, start: Callable[[], Any], recipe: CaptionRecipe) -> None:
        """`start` makes a `vllm.LLM`; it is called again where the engine died. Raises what `start` raises."""
        self._start, self._recipe = start, recipe
        self._llm = start()
        self._watch = Watch(_death)
        self._watch.over(self._llm)
        self._slots = _slots(self._llm)
        self._inbox: queue.SimpleQueue[_Open | None] = queue.SimpleQueue()
        self._open: dict[str, _Open] = {}
        self._suspects: deque[_Open] = deque()
        self._restarts = 0
        self._closing = False
        self._gone: EngineFault | None = None
        self._thread = threading.Thread(target=self._run, name="vllm", daemon=True)
        self._thread.start()

    @classmethod
    def from_options(cls, model: str | None, options: list[str]) -> "VllmDescriber":
        """Load a model; options go to `vllm.LLM`.

        Raises `EnvironmentMissing` (`vllm_missing`, `vllm_start_failed`) and `BadInput` (`token_budget`).
        """
        keywords = parse(options)
        sampling = Sampling(max_tokens=keywords.pop("max_tokens", Sampling().max_tokens))
        name = model or DEFAULT_MODEL
        changing = {key: value for key, value in keywords.items() if key not in _NOT_RESULTS | {"revision"}}
        recipe = CaptionRecipe(
            engine="vllm",
            model=name,
            revision=keywords.get("revision"),
            prompt=DEFAULT_PROMPT,
            sampling=sampling,
            options=changing,
        )
        made = cls(lambda: _started(name, keywords), recipe)
        _check_budget(made._llm, sampling, made.close)
        return made

    @property
    def recipe(self) -> CaptionRecipe:
        return self._recipe

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def can_verify(self) -> bool:
        return True

    def submit(self, request: Request) -> "Future[Answer]":
        one = _Open(request, Future())
        self._inbox.put(one)
        if self._gone is not None:
            self._tell_waiting(self._gone)
        return one.future

    def close(self) -> None:
        """Free the engine; open requests stay unanswered."""
        self._closing = True
        self._inbox.put(None)
        self._thread.join()
        self._watch.close()
        self._end_engine()

    def _run(self) -> None:
        while not self._closing and self._gone is None:
            try:
                self._admit_all()
                if self._open:
                    self._step()
            except Exception as error:  # noqa: BLE001 - a dead engine raises any kind; it is built again
                self._revive(error)

    def _admit_all(self) -> None:
        """All that has come; waits where there is nothing to do. Suspects go alone, one after the other."""
        if self._suspects:
            if not self._open:
                self._admit(self._suspects.popleft())
            return
        one = None if self._open and self._inbox.empty() else self._inbox.get()
        while one is not None:
            self._admit(one)
            one = None if self._inbox.empty() else self._inbox.get()

    def _admit(self, one: _Open) -> None:
        one.started = time.perf_counter()
        try:
            (key,) = self._llm.enqueue_chat([_messages(one.request)], [_parameters(one.request)], use_tqdm=False)
        except Exception as error:  # vLLM refuses a request with any kind of error; it costs only itself
            if _is_death(error):
                self._suspects.appendleft(one)
                raise
            one.future.set_result(_fault(error))
            return
        self._open[key.partition("-")[0]] = one  # the engine adds a random suffix of its own to the request's id

    def _step(self) -> None:
        for output in self._llm.llm_engine.step():
            if not output.finished:
                continue
            one = self._open.pop(output.request_id, None)
            if one is not None:
                self._restarts = 0
                one.future.set_result(_reply(output, time.perf_counter() - one.started))

    def _revive(self, error: Exception) -> None:
        """Start another engine; ask again one at a time for what was open; who kills it twice, alone, is at fault."""
        lost, self._open = list(self._open.values()), {}
        for one in lost:
            one.tried += 1
            if len(lost) == 1 and one.tried > 1:
                one.future.set_result(_fault(error))
            else:
                self._suspects.append(one)
        _log.warning("the engine died (%s) and is started again", type(error).__name__)
        self._end_engine()
        self._restarts += 1
        try:
            if self._restarts > _MOST_RESTARTS:
                raise error
            self._llm = self._start()
            self._watch.over(self._llm)
        except Exception as last:  # noqa: BLE001 - there is no engine any more: every request is told so
            self._give_up(_fault(last))

    def _end_engine(self) -> None:
        """Free what the engine holds; a dead one may hold memory of the device still."""
        llm, self._llm = self._llm, None
        if llm is not None:
            with suppress(Exception):
                llm.llm_engine.engine_core.shutdown()

    def _give_up(self, fault: EngineFault) -> None:
        self._gone = fault
        for one in self._suspects:
            one.future.set_result(fault)
        self._tell_waiting(fault)

    def _tell_waiting(self, fault: EngineFault) -> None:
        """May run on several threads at once: each request is taken by one of them."""
        with suppress(queue.Empty):
            while True:
                one = self._inbox.get_nowait()
                if one is not None:
                    one.future.set_result(fault)


def _started(name: str, keywords: dict[str, Any]) -> Any:
    os.environ.update(_QUIET)
    try:
        from vllm import LLM
    except ImportError as error:
        raise EnvironmentMissing(
            "vllm_missing",
            f"vLLM can't be imported here: {error}",
            fix="install vLLM in its own environment on a GPU machine (docs/gpu-captioning.md)",
        ) from error
    try:
        return LLM(
            model=name,
            limit_mm_per_prompt={"image": 1},
            structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
            **keywords,
        )
    except Exception as error:  # vLLM raises many kinds while it starts; each means: it did not start
        raise EnvironmentMissing(
            "vllm_start_failed", f"vLLM did not start with {name!r}: {error}", fix="check the model and its options"
        ) from error


def _slots(llm: Any) -> int:
    """Enough to keep every sequence of the engine's batch busy and the next ones prepared, as many end at once."""
    most = int(llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)
    return most + max(16, most // 4)


def _check_budget(llm: Any, sampling: Sampling, close: Callable[[], None]) -> None:
    context = int(llm.llm_engine.vllm_config.model_config.max_model_len)
    if sampling.max_tokens >= context:
        close()
        raise BadInput(
            "token_budget",
            f"a reply of {sampling.max_tokens} tokens does not fit into the model's context of {context}",
            fix="-- --max-tokens N below the context, or a larger --max-model-len",
        )


def _death() -> Exception:
    from vllm.v1.engine.exceptions import EngineDeadError

    death: Exception = EngineDeadError()
    return death


def _is_death(error: Exception) -> bool:
    return isinstance(error, type(_death()))


def _fault(error: Exception) -> EngineFault:
    return EngineFault(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:300])


def _messages(request: Request) -> list[dict[str, Any]]:
    content = [
        {"type": "image_pil", "image_pil": request.picture.pixels},
        {"type": "text", "text": request.question or prompt(DEFAULT_PROMPT)},
    ]
    return [{"role": "user", "content": content}]


def _parameters(request: Request) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    sampling = request.sampling
    if request.question is not None:
        return SamplingParams(temperature=0.0, max_tokens=1, logprobs=_TOP_LOGPROBS, seed=sampling.seed)
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        seed=sampling.seed,
        structured_outputs=StructuredOutputsParams(json=reply_schema()),
    )


def _reply(output: Any, seconds: float) -> Reply:
    said = output.outputs[0]
    return Reply(
        text=said.text,
        finish_reason=said.finish_reason or "unfinished",
        tokens_in=len(output.prompt_token_ids or ()),
        tokens_out=len(said.token_ids),
        seconds=seconds,
        yes=_yes(said.logprobs),
    )


def _yes(logprobs: Any) -> float | None:
    if not logprobs:
        return None
    return yes_share((str(one.decoded_token or ""), float(one.logprob)) for one in logprobs[0].values())

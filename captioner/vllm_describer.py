"""The one door to vLLM: `vllm.LLM` in this process, replies constrained to the schema."""

import os
import time
from collections.abc import Sequence
from typing import Any

from captioner.describer import EngineFault, Reply, Request
from captioner.engine_options import parse
from captioner.prompt import DEFAULT_PROMPT, prompt, reply_schema
from scenes.errors import EnvironmentMissing
from scenes.outcome import FailureReason
from scenes.recipe import CaptionRecipe, Sampling

DEFAULT_MODEL = "OpenGVLab/InternVL3-8B-hf"
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
_NOT_RESULTS = {"tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization", "enforce_eager"}


class VllmDescriber:
    """Chat with one picture a request. A request that breaks the engine's batch is found by halving it."""

    def __init__(self, engine: Any, recipe: CaptionRecipe) -> None:
        self._engine = engine
        self._recipe = recipe

    @classmethod
    def from_options(cls, model: str | None, options: list[str]) -> "VllmDescriber":
        """Load a model; options go to `vllm.LLM`. Raises `EnvironmentMissing` (`vllm_missing`, `vllm_start_failed`)."""
        keywords = parse(options)
        sampling = Sampling(max_tokens=keywords.pop("max_tokens", Sampling().max_tokens))
        os.environ.update(_QUIET)
        try:
            from vllm import LLM
        except ImportError as error:
            raise EnvironmentMissing(
                "vllm_missing",
                f"vLLM can't be imported here: {error}",
                fix="install vLLM in its own environment on a GPU machine (docs/gpu-captioning.md)",
            ) from error
        name = model or DEFAULT_MODEL
        try:
            engine = LLM(
                model=name,
                limit_mm_per_prompt={"image": 1},
                structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
                **keywords,
            )
        except Exception as error:  # vLLM raises many kinds while it starts; each means: it did not start
            raise EnvironmentMissing(
                "vllm_start_failed", f"vLLM did not start with {name!r}: {error}", fix="check the model and its options"
            ) from error
        changing = {key: value for key, value in keywords.items() if key not in _NOT_RESULTS | {"revision"}}
        recipe = CaptionRecipe(
            engine="vllm",
            model=name,
            revision=keywords.get("revision"),
            prompt=DEFAULT_PROMPT,
            sampling=sampling,
            options=changing,
        )
        return cls(engine, recipe)

    @property
    def recipe(self) -> CaptionRecipe:
        return self._recipe

    def describe(self, requests: Sequence[Request]) -> list[Reply | EngineFault]:
        try:
            return self._chat(requests)
        except Exception as error:  # noqa: BLE001 - one bad request aborts vLLM's whole batch: halve it to find which
            if len(requests) == 1:
                return [EngineFault(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:300])]
            middle = len(requests) // 2
            return self.describe(requests[:middle]) + self.describe(requests[middle:])

    def close(self) -> None:
        """Free the engine."""
        self._engine = None

    def _chat(self, requests: Sequence[Request]) -> list[Reply | EngineFault]:
        started = time.perf_counter()
        outputs = self._engine.chat(
            [_messages(request) for request in requests],
            [_parameters(request.sampling) for request in requests],
            use_tqdm=False,
        )
        seconds = (time.perf_counter() - started) / len(requests)
        return [_reply(output, seconds) for output in outputs]


def _messages(request: Request) -> list[dict[str, Any]]:
    content = [
        {"type": "image_pil", "image_pil": request.picture.pixels},
        {"type": "text", "text": prompt(DEFAULT_PROMPT)},
    ]
    return [{"role": "user", "content": content}]


def _parameters(sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

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
    )

"""The one door to OpenAI-compatible servers: bounded concurrency, retries with back-off, a time limit per request."""

import asyncio
import base64
import io
import json
import os
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from captioner.engines.engine import Answer, EngineFault, Picture, Reply, Request
from captioner.engines.options import origin, parse
from captioner.prompting.prompt import DEFAULT_PROMPT, prompt, reply_schema
from captioner.prompting.verification import yes_share
from scenes.errors import BadInput, EnvironmentMissing
from scenes.outcome import FailureReason
from scenes.recipe import CaptionRecipe, Sampling

DEFAULT_URL = "http://127.0.0.1:8000/v1"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_RETRIED = {
    HTTPStatus.TOO_MANY_REQUESTS,
    *(status for status in HTTPStatus if status >= HTTPStatus.INTERNAL_SERVER_ERROR),
}
_LONGEST_WAIT_S = 60.0
_TOP_LOGPROBS = 20
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is and how patient to be with it; times in seconds."""

    url: str
    api_key: str | None
    concurrency: int = 32
    timeout: float = 120.0
    tries: int = 5
    first_wait: float = 0.5


class OpenAIDescriber:
    """One chat completion a picture, with `response_format` set to the schema."""

    def __init__(self, server: Server, recipe: CaptionRecipe) -> None:
        self._server = server
        self._recipe = recipe
        limits = httpx.Limits(max_connections=server.concurrency, max_keepalive_connections=server.concurrency)
        self._client = httpx.AsyncClient(
            base_url=server.url, timeout=server.timeout, headers=_headers(server), limits=limits
        )
        self._encoders = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="encode")
        self._with_server = asyncio.Semaphore(server.concurrency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()

    @classmethod
    def from_options(cls, model: str | None, options: list[str], *, consent: bool) -> "OpenAIDescriber":
        """Options: base_url, concurrency, timeout, tries, max_tokens; the key comes from OPENAI_API_KEY.

        Raises `BadInput` (`consent_missing`, `engine_option_unknown`, `model_missing`) and `EnvironmentMissing`
        (`engine_unreachable`).
        """
        given = parse(options)
        url = str(given.pop("base_url", os.environ.get("OPENAI_BASE_URL", DEFAULT_URL))).rstrip("/")
        sampling = Sampling(max_tokens=given.pop("max_tokens", Sampling().max_tokens))
        unknown = set(given) - {"concurrency", "timeout", "tries", "first_wait"}
        if unknown:
            raise BadInput("engine_option_unknown", f"the openai engine has no option {', '.join(sorted(unknown))}")
        if urlsplit(url).hostname not in _LOOPBACK and not consent:
            raise BadInput(
                "consent_missing", f"pixels would be sent to {urlsplit(url).hostname}", fix="add --consent to agree"
            )
        server = Server(url, os.environ.get("OPENAI_API_KEY"), **given)
        name = model or _only_model(server)
        named = {"origin": origin(url)}
        recipe = CaptionRecipe(engine="openai", model=name, prompt=DEFAULT_PROMPT, sampling=sampling, options=named)
        return cls(server, recipe)

    @property
    def recipe(self) -> CaptionRecipe:
        return self._recipe

    @property
    def slots(self) -> int:
        """The next pictures are encoded while the server works; at most `concurrency` requests are with it."""
        return self._server.concurrency + max(4, self._server.concurrency // 2)

    @property
    def can_verify(self) -> bool:
        return True

    def submit(self, request: Request) -> "Future[Answer]":
        return asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)

    def close(self) -> None:
        """Drop open requests and close the connections."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._encoders.shutdown(wait=False, cancel_futures=True)

    async def _hang_up(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self, request: Request) -> Answer:
        body = await self._loop.run_in_executor(self._encoders, _encoded, self._recipe.model, request)
        async with self._with_server:
            return await self._try(body)

    async def _try(self, body: bytes) -> Answer:
        answer: Answer = EngineFault(FailureReason.ENGINE_ERROR, "never asked")
        for attempt in range(self._server.tries):
            answer, wait = await self._once(body)
            if wait is None:
                return answer
            if attempt + 1 < self._server.tries:
                await asyncio.sleep(wait or self._backed_off(attempt))
        return answer

    async def _once(self, body: bytes) -> tuple[Answer, float | None]:
        """One try, and how long to wait before the next: None where there is nothing to try again, 0 to back off."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._server.timeout):
                response = await self._client.post("chat/completions", content=body, headers=_JSON)
        except (httpx.TimeoutException, TimeoutError):
            return EngineFault(FailureReason.TIMEOUT, f"no answer within {self._server.timeout:g} s"), 0.0
        except httpx.HTTPError as error:
            return EngineFault(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:300]), 0.0
        if response.status_code in _RETRIED:
            fault = EngineFault(FailureReason.ENGINE_ERROR, f"the server answered {response.status_code}")
            return fault, _retry_after(response)
        answer = read_answer(response, time.perf_counter() - started)
        return answer, 0.0 if _is_garbled(response, answer) else None

    def _backed_off(self, attempt: int) -> float:
        longest = min(_LONGEST_WAIT_S, self._server.first_wait * 2**attempt)
        return float(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def _only_model(server: Server) -> str:
    try:
        answer = httpx.get(f"{server.url}/models", headers=_headers(server), timeout=10.0)
        names = [str(item["id"]) for item in answer.raise_for_status().json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentMissing(
            "engine_unreachable",
            f"no OpenAI-compatible server answers at {server.url}: {error}",
            fix="start one, or name it: -- --base-url http://HOST:PORT/v1",
        ) from error
    if len(names) != 1:
        raise BadInput("model_missing", f"the server has {len(names)} models", fix=f"--model, one of {names[:10]}")
    return names[0]


def _headers(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}


def _encoded(model: str, request: Request) -> bytes:
    return json.dumps(chat_body(model, request)).encode()


def chat_body(model: str, request: Request) -> dict[str, Any]:
    """The body of a chat completion: the picture, then the prompt or the question."""
    sampling = request.sampling
    content = [
        {"type": "image_url", "image_url": {"url": _data_url(request.picture)}},
        {"type": "text", "text": request.question or prompt(DEFAULT_PROMPT)},
    ]
    body = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    if request.question is not None:
        return body | {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    schema = {"name": "scene_description", "schema": reply_schema(), "strict": True}
    return body | {"response_format": {"type": "json_schema", "json_schema": schema}}


def _data_url(picture: Picture) -> str:
    buffer = io.BytesIO()
    picture.pixels.save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def read_answer(response: httpx.Response, seconds: float) -> Answer:
    """What a server's response says. Never raises."""
    if response.status_code != HTTPStatus.OK:
        detail = f"the server answered {response.status_code}: {response.text[:200]}"
        return EngineFault(FailureReason.ENGINE_ERROR, detail)
    try:
        body = response.json()
        choice, usage = body["choices"][0], body.get("usage") or {}
        return Reply(
            text=str(choice["message"]["content"] or ""),
            finish_reason=str(choice["finish_reason"]),
            tokens_in=max(0, int(usage.get("prompt_tokens") or 0)),
            tokens_out=max(0, int(usage.get("completion_tokens") or 0)),
            seconds=seconds,
            yes=_yes(choice.get("logprobs")),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        return EngineFault(FailureReason.ENGINE_ERROR, f"the server's answer makes no sense: {type(error).__name__}")


def _yes(logprobs: Any) -> float | None:
    if not logprobs or not logprobs.get("content"):
        return None
    first = logprobs["content"][0]
    return yes_share((str(one["token"]), float(one["logprob"])) for one in first.get("top_logprobs") or [first])


def _is_garbled(response: httpx.Response, answer: Answer) -> bool:
    return response.status_code == HTTPStatus.OK and isinstance(answer, EngineFault)


def _retry_after(response: httpx.Response) -> float:
    given = response.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_WAIT_S) if given.replace(".", "", 1).isdigit() else 0.0

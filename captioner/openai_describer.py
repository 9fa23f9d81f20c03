"""The one door to OpenAI-compatible servers: bounded concurrency, retries with back-off, a time limit per request."""

import asyncio
import base64
import io
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from captioner.describer import EngineFault, Picture, Reply, Request
from captioner.engine_options import parse
from captioner.origin import origin
from captioner.prompt import DEFAULT_PROMPT, prompt, reply_schema
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

    def describe(self, requests: Sequence[Request]) -> list[Reply | EngineFault]:
        return asyncio.run(self._all(requests))

    def close(self) -> None:
        """Nothing is held between batches."""

    async def _all(self, requests: Sequence[Request]) -> list[Reply | EngineFault]:
        gate = asyncio.Semaphore(self._server.concurrency)
        async with httpx.AsyncClient(timeout=self._server.timeout, headers=_headers(self._server)) as client:

            async def one(request: Request) -> Reply | EngineFault:
                async with gate:
                    return await self._ask(client, request)

            return list(await asyncio.gather(*(one(request) for request in requests)))

    async def _ask(self, client: httpx.AsyncClient, request: Request) -> Reply | EngineFault:
        body = _body(self._recipe.model, request)
        fault = EngineFault(FailureReason.ENGINE_ERROR, "never asked")
        for attempt in range(self._server.tries):
            started = time.perf_counter()
            try:
                response = await client.post(f"{self._server.url}/chat/completions", json=body)
            except httpx.TimeoutException:
                fault = EngineFault(FailureReason.TIMEOUT, f"no answer within {self._server.timeout:g} s")
                wait = None
            except httpx.HTTPError as error:
                fault = EngineFault(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:300])
                wait = None
            else:
                if response.status_code not in _RETRIED:
                    return _read(response, time.perf_counter() - started)
                fault = EngineFault(FailureReason.ENGINE_ERROR, f"the server answered {response.status_code}")
                wait = _retry_after(response)
            if attempt + 1 < self._server.tries:
                await asyncio.sleep(wait if wait is not None else self._backed_off(attempt))
        return fault

    def _backed_off(self, attempt: int) -> float:
        return float(min(_LONGEST_WAIT_S, self._server.first_wait * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


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


def _body(model: str, request: Request) -> dict[str, Any]:
    sampling = request.sampling
    schema = {"name": "scene_description", "schema": reply_schema(), "strict": True}
    content = [
        {"type": "image_url", "image_url": {"url": _data_url(request.picture)}},
        {"type": "text", "text": prompt(DEFAULT_PROMPT)},
    ]
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


def _data_url(picture: Picture) -> str:
    buffer = io.BytesIO()
    picture.pixels.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _read(response: httpx.Response, seconds: float) -> Reply | EngineFault:
    if response.status_code != HTTPStatus.OK:
        detail = f"the server answered {response.status_code}: {response.text[:200]}"
        return EngineFault(FailureReason.ENGINE_ERROR, detail)
    try:
        body = response.json()
        choice, usage = body["choices"][0], body.get("usage") or {}
        text, reason = str(choice["message"]["content"] or ""), str(choice["finish_reason"])
        tokens_in, tokens_out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return EngineFault(FailureReason.ENGINE_ERROR, f"the server's answer makes no sense: {type(error).__name__}")
    return Reply(text, reason, tokens_in, tokens_out, seconds)


def _retry_after(response: httpx.Response) -> float | None:
    given = response.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_WAIT_S) if given.replace(".", "", 1).isdigit() else None

"""A scripted server that speaks the OpenAI protocol over real HTTP: what it says depends on the picture alone.

`python -m tests.captioner.scripted_server --faults 0.3 --seed 1` prints its port and serves until it is ended. With
`--faults` that share of requests meets one of `FAULTS` instead of an answer; pictures whose digest ends in `0` or `1`
are always answered by half a sentence.
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FAULTS = ("429", "500", "garbage", "half", "nothing", "hang", "die")
OBJECTS = ("dog", "cat", "unicorn")
_DEAD_S = 0.1
_USAGE = {"prompt_tokens": 100, "completion_tokens": 20}


@contextmanager
def scripted(**options: object) -> Iterator[str]:
    """A scripted server in a process of its own, with the options of the command line; gives its base URL."""
    words = [sys.executable, "-m", "tests.captioner.scripted_server"]
    words += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


class Server:
    """Answers chat completions; faults are drawn from a seeded generator."""

    def __init__(self, latency_s: float, faults: float, seed: int, hang_s: float, says: str) -> None:
        self._latency, self._faults, self._hang, self._says = latency_s, faults, hang_s, says
        self._chance = random.Random(seed)
        self._dead_until = 0.0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        if not body:
            return await self._send(writer, 200, {"data": [{"id": "scripted"}]})
        if asyncio.get_running_loop().time() < self._dead_until:
            return False
        await asyncio.sleep(self._latency)
        fault = self._chance.choice(FAULTS) if self._chance.random() < self._faults else ""
        return await self._answer(writer, json.loads(body), fault)

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, Any], fault: str) -> bool:
        if fault in {"429", "500"}:
            return await self._send(writer, int(fault), {}, "Retry-After: 0.01\r\n" if fault == "429" else "")
        if fault == "garbage":
            return await self._raw(writer, 200, b"\x00<html>not what was asked")
        if fault == "hang":
            await asyncio.sleep(self._hang)
            return False
        if fault == "die":
            self._dead_until = asyncio.get_running_loop().time() + _DEAD_S
        if fault in {"nothing", "die"}:
            return False
        said = _choice(self._says, "stop", _USAGE, None) if self._says else completion(body)
        answer = json.dumps(said).encode()
        if fault == "half":
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            writer.write(head.encode() + answer[: len(answer) // 2])
            await writer.drain()
            return False
        return await self._raw(writer, 200, answer)

    async def _send(self, writer: asyncio.StreamWriter, status: int, body: Any, more: str = "") -> bool:
        return await self._raw(writer, status, json.dumps(body).encode(), more)

    async def _raw(self, writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "") -> bool:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """What is said of a request's picture: a description, or, of a question, yes unless it asks for a unicorn."""
    picture, text = body["messages"][0]["content"]
    digest = hashlib.sha256(picture["image_url"]["url"].encode()).hexdigest()
    if "response_format" not in body:
        yes = -3.0 if "unicorn" in text["text"] else -0.05
        tops = [{"token": "Yes", "logprob": yes}, {"token": "No", "logprob": -3.05 - yes}]
        logprobs = {"content": [{"token": "Yes", "logprob": yes, "top_logprobs": tops}]}
        return _choice("Yes", "stop", _USAGE, logprobs)
    said = {"summary": f"A field of {digest[:12]}.", "detail": f"A plain colour, {digest[12:20]}."}
    said |= {"objects": [{"name": OBJECTS[int(digest[:4], 16) % 3]}]}
    if digest.endswith(("0", "1")):
        return _choice(json.dumps(said)[:20], "length", _USAGE, None)
    return _choice(json.dumps(said), "stop", _USAGE, None)


def _choice(text: str, reason: str, usage: dict[str, int], logprobs: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason, "logprobs": logprobs}
    return {"choices": [choice], "usage": usage}


async def serve(arguments: argparse.Namespace) -> None:
    script = Server(arguments.latency, arguments.faults, arguments.seed, arguments.hang, arguments.says)
    server = await asyncio.start_server(script.handle, "127.0.0.1", arguments.port, limit=1 << 26)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--hang", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--says", default="", help="answer every request with this text")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

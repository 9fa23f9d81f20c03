"""Clients that write and search while the service is killed around them, and remember what was acknowledged."""

import asyncio
import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

COLLECTION = "fire"
AGAIN = {"postgres_unreachable", "postgres_busy", "server_busy", "request_timed_out", "idempotency_in_progress"}
"""What clients may be told while something is dead: all of it says to try again."""
_PATIENCE_S = 120.0
_PAUSE_S = 0.1


@dataclass
class Ledger:
    """What clients were told. `summaries` holds what each acknowledged image must say, None where it was deleted."""

    answers: Counter[str] = field(default_factory=Counter)
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    summaries: dict[str, str | None] = field(default_factory=dict)
    searches: list[str] = field(default_factory=list)
    uploads: dict[str, str] = field(default_factory=dict)
    untyped: list[str] = field(default_factory=list)


class Client:
    """One client; each request goes over a connection of its own, to whichever process takes it."""

    def __init__(self, url: str, key: str, ledger: Ledger, *, a_worker_runs: bool = False) -> None:
        """Where a worker runs, jobs are rare, and none is cancelled: it may be done already."""
        self._url, self._headers, self.ledger = url, {"Authorization": f"Bearer {key}"}, ledger
        self._a_worker_runs = a_worker_runs

    async def write(self, stop: asyncio.Event, number: int) -> None:
        """Put, edit, delete and start, one after the other, each until it is acknowledged, until stopped."""
        turn = 0
        while not stop.is_set():
            turn += 1
            image = hashlib.sha256(f"{number}-{turn}".encode()).hexdigest()
            address = f"/v1/collections/{COLLECTION}/images/{image}"
            put = await self.insist("PUT", address, "image.put", image, {"description": {"summary": f"put {turn}"}})
            self.ledger.summaries[image] = f"put {turn}"
            if turn % 3 == 0:
                match = {"If-Match": f'"{put["description_id"]}"'}
                words = {"summary": f"edit {turn}"}
                await self.insist("PUT", f"{address}/description", "image.edit", image, words, match)
                self.ledger.summaries[image] = f"edit {turn}"
            if turn % 4 == 0:
                await self.insist("DELETE", address, "image.delete", image)
                self.ledger.summaries[image] = None
            if turn % (50 if self._a_worker_runs else 5) == 0:
                order = {"kind": "index", "collection": COLLECTION}
                job = await self.insist("POST", "/v1/jobs", "job.index", "", order)
                if not self._a_worker_runs:
                    await self.insist("POST", f"/v1/jobs/{job['job_id']}/cancel", "job.cancel", job["job_id"])
            await asyncio.sleep(_PAUSE_S)

    async def search(self, stop: asyncio.Event) -> None:
        """Search until stopped; every answer that names a stored search is remembered."""
        while not stop.is_set():
            answer = await self.ask("POST", f"/v1/collections/{COLLECTION}/search", {"query": "a red bus"})
            if answer is not None and answer.is_success:
                self.ledger.searches.append(answer.json()["search_id"])
            await asyncio.sleep(_PAUSE_S / 2)

    async def upload(self, stop: asyncio.Event, pictures: Iterable[bytes]) -> None:
        """Upload until stopped. What was not acknowledged is sent again: it is the same image."""
        for picture in pictures:
            if stop.is_set():
                return
            while not stop.is_set():
                answer = await self.ask("POST", f"/v1/collections/{COLLECTION}/uploads", picture)
                if answer is not None and answer.is_success:
                    self.ledger.uploads[answer.json()["job_id"]] = answer.json()["image_id"]
                    break
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(5 * _PAUSE_S)

    async def insist(
        self, method: str, path: str, action: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send a write until it is acknowledged, always under the same key; returns what it answered."""
        once = {"Idempotency-Key": uuid.uuid4().hex, **(headers or {})}
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            answer = await self.ask(method, path, body, once)
            if answer is not None and answer.is_success:
                self.ledger.writes[action, target] += 1
                return answer.json() if answer.content else None
            if answer is not None and not _says_again(answer):
                break
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError(f"{action} of {target} was never acknowledged; the last answer: {answer and answer.text}")

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        """One request; None where no answer came."""
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        try:
            async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=60) as http:
                answer = await http.request(method, path, headers=headers, **sent)
        except httpx.TransportError:
            self.ledger.answers["no answer"] += 1
            return None
        code = _code(answer)
        self.ledger.answers[f"{answer.status_code} {code}".strip()] += 1
        if not answer.is_success and not _says_again(answer) and code != "worker_missing":
            self.ledger.untyped.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer


def _code(answer: httpx.Response) -> str:
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return str(answer.json()["code"]) if is_problem else ""


def _says_again(answer: httpx.Response) -> bool:
    return _code(answer) in AGAIN and "retry-after" in answer.headers

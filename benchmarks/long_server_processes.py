"""Four server processes answer 5,000 searches during publishes and deletes, consistently to the freshness bound.

A deleted image may not be in an answer to a search that was sent later than the bound after the delete was
acknowledged; when all is quiet, every process answers the same.
"""

import asyncio
import json
import os
import random
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.client import AsyncWordsight
from app.search.catalog_cache import FRESH
from benchmarks import recording
from benchmarks.servers import PROGRAM, command, imported
from indexer.evaluation.synthetic_corpus import corpus
from scenes.catalog.embedded import postgres
from tests.app.serving import served
from tests.conftest import open_folder

MEASURED = ("app", "indexer", "scenes", "benchmarks/long_server_processes.py", "benchmarks/servers.py")
SEED = 20_261_123
PROCESSES = 4
SEARCHES = int(os.environ.get("LONG_SEARCHES", "5000"))
_CLIENTS = 8
_QUIET_QUERIES = 20


@dataclass
class Seen:
    """`deleted` maps an image to when its delete was acknowledged (monotonic seconds)."""

    deleted: dict[str, float] = field(default_factory=dict)
    searches: int = 0
    published: int = 0
    stale: list[str] = field(default_factory=list)
    late_s: float = 0.0
    processes: set[str] = field(default_factory=set)


def main() -> None:
    """Raises `AssertionError` for an inconsistent answer."""
    texts = corpus(600, 2_000, SEED)
    with open_folder() as home, tempfile.TemporaryDirectory() as scratch, postgres(home, None) as url:
        environment = os.environ | {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url.replace("+psycopg", "")}
        imported(environment, Path(scratch), texts.documents[:400], "c")
        key = command(environment, "key", "create", "--collection", "c", "--scope", "ingest")["key"]
        worker = subprocess.Popen([PROGRAM, "worker", "--every", "1"], env=environment, stderr=subprocess.DEVNULL)
        try:
            with served(environment, "--workers", str(PROCESSES)) as server:
                seen, different = asyncio.run(drive(server.url, key, texts.documents[400:], texts.queries))
        finally:
            worker.terminate()
            worker.wait(60)
    figures: dict[str, Any] = {"searches": seen.searches, "deleted": len(seen.deleted), "published": seen.published}
    figures |= {"inconsistent": len(seen.stale), "different_when_quiet": different, "processes": PROCESSES}
    figures["bound_s"] = FRESH.total_seconds()
    print(json.dumps(figures, indent=1))
    assert not seen.stale, seen.stale[:5]
    assert different == 0
    if seen.searches >= 5_000:
        recording.record("long_server_processes", figures, measured=MEASURED, seed=SEED)


async def drive(url: str, key: str, fresh: list[str], queries: list[str]) -> tuple[Seen, int]:
    """Search from many connections while images are removed and added, then compare when it is quiet."""
    seen, dice = Seen(), random.Random(SEED)
    async with AsyncWordsight(url, key) as client:
        images = [image.image_id async for image in client.images("c")]
        dice.shuffle(images)
        writer = asyncio.create_task(write(client, images[:200], fresh, seen))
        await asyncio.gather(*(search(url, key, queries, seen, i) for i in range(_CLIENTS)))
        await writer
    await asyncio.sleep(5)
    return seen, await compare(url, key, queries[:_QUIET_QUERIES])


async def write(client: AsyncWordsight, doomed: list[str], fresh: list[str], seen: Seen) -> None:
    """Remove one and add one, again and again, until the searches are done."""
    for i, (image_id, text) in enumerate(zip(doomed, fresh, strict=True)):
        if seen.searches >= SEARCHES:
            return
        await client.delete_image("c", image_id)
        seen.deleted[image_id] = time.monotonic()
        _ = [part async for part in client.bulk("c", [{"id": f"new-{i}", "text": text}])]
        seen.published += 1
        await asyncio.sleep(0.1)


async def search(url: str, key: str, queries: list[str], seen: Seen, number: int) -> None:
    async with AsyncWordsight(url, key) as client:
        while seen.searches < SEARCHES:
            seen.searches += 1
            sent = time.monotonic()
            answer = await client.search("c", queries[(seen.searches * 7 + number) % len(queries)], k=20)
            for match in answer.results:
                late = sent - seen.deleted.get(match.image_id, sent)
                if late > FRESH.total_seconds():
                    seen.stale.append(f"{match.image_id} {late:.3f} s after its delete")


async def compare(url: str, key: str, queries: list[str]) -> int:
    """How many queries are answered differently over sixteen connections, which reach every process."""
    different = 0
    for query in queries:
        found = {await once(url, key, query) for _ in range(4 * PROCESSES)}
        different += len(found) != 1
    return different


async def once(url: str, key: str, query: str) -> tuple[tuple[str, float], ...]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        body = (await client.post("/v1/collections/c/search", json={"query": query, "k": 20})).json()
    return tuple((match["image_id"], round(match["score"], 5)) for match in body["results"])

"""Following a job: one event a change, none without one, and an end."""

import asyncio
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scenes.catalog import jobs
from scenes.catalog.connection import Catalog
from scenes.catalog.jobs import JobRow
from tests.app.live import Live, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets") as running:
        yield running


async def taken(catalog: Catalog, job_id: str) -> JobRow:
    async with catalog.writing() as session:
        row = await jobs.begin(session, uuid.UUID(job_id))
    assert row is not None
    return row


def heard(client: httpx.Client, path: str, **params: Any) -> list[tuple[str, dict[str, Any]]]:
    with client.stream("GET", path, params=params) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        text = "".join(answer.iter_text())
    events = [event.split("\n") for event in text.split("\n\n") if event.startswith("event: ")]
    return [(name[7:], json.loads(data[6:])) for name, _, data in events]


async def test_each_change_is_heard_once_and_the_end_ends_it(server: Live, catalog: Catalog) -> None:
    key = await asyncio.to_thread(server.key, "pets", "ingest")
    with server.client(key) as client:
        job = client.post("/v1/jobs", json={"kind": "index", "collection": "pets"}).json()["job_id"]
        path = f"/v1/jobs/{job}/events"
        ((name, told),) = heard(client, path, follow=False)
        assert (name, told["state"]) == ("progress", "queued")
        events: list[tuple[str, dict[str, Any]]] = []
        listener = threading.Thread(target=lambda: events.extend(heard(client, path)))
        listener.start()
        row = await taken(catalog, job)
        for described in (1, 1, 1, 2):
            async with catalog.writing() as session:
                await jobs.mirror(session, row, {"described": described}, {})
            await asyncio.sleep(0.7)
        async with catalog.writing() as session:
            assert await jobs.end(session, row, "done")
        await asyncio.to_thread(listener.join, 30)
        assert not listener.is_alive()
        seen = [(name, one["state"], one["counts"]) for name, one in events]
        assert seen[-1] == ("end", "done", {"described": 2})
        assert len(seen) == len({json.dumps(one) for one in seen})
        assert ("progress", "running", {"described": 1}) in seen
        assert len(heard(client, path)) == 1
        refused = client.post(f"/v1/jobs/{job}/cancel")
        assert (refused.status_code, refused.json()["code"]) == (409, "job_over")

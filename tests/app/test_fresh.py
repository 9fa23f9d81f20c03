"""What is written over REST is found soon, with or without a worker; what is not found yet is reported."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.health.endpoints import NO_WORKER
from tests import command_server
from tests.app.conftest import LINES, Command
from tests.app.live import live
from tests.app.serving import served

pytestmark = pytest.mark.postgres
SOON_S = 20.0
"""About a second on an idle machine."""


class Caller:
    """Calls a server about one collection, with a key that may write."""

    def __init__(self, client: httpx.Client, collection: str) -> None:
        self.client, self.path = client, f"/v1/collections/{collection}"

    def search(self, query: str) -> dict[str, Any]:
        answer = self.client.post(f"{self.path}/search", json={"query": query, "k": 10})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def found(self, query: str) -> list[str]:
        return [one["external_id"] for one in self.search(query)["results"]]

    def warnings(self) -> list[str]:
        """Those of the server about collections; that no worker runs is always one here."""
        ready = self.client.get("/readyz")
        assert ready.status_code == 200
        return [one for one in ready.json()["warnings"] if one != NO_WORKER]

    def write(self, *lines: tuple[str, str]) -> None:
        body = "\n".join(json.dumps({"id": name, "text": text}) for name, text in lines)
        answer = self.client.post(f"{self.path}/bulk", content=body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.json()["stored"] == len(lines), answer.text

    def change(self, name: str, how: Callable[[str, dict[str, str]], httpx.Response]) -> None:
        """Change the description of an image; `how` is given its place and the headers."""
        there = self.client.get(f"{self.path}/images").json()["images"]
        image = next(one for one in there if one["external_id"] == name)
        place = f"{self.path}/images/{image['image_id']}/description"
        assert how(place, {"If-Match": f'"{image["description_id"]}"'}).status_code == 200

    def edit(self, name: str, text: str) -> None:
        self.change(name, lambda place, headers: self.client.put(place, json={"detail": text}, headers=headers))

    def undo(self, name: str) -> None:
        self.change(name, lambda place, headers: self.client.post(f"{place}/undo", headers=headers))

    def pending(self) -> tuple[int, int, float]:
        """As a search, the collection and the metrics have it."""
        gauge = re.search(r"^wordsight_pending_descriptions (\S+)", self.client.get("/metrics").text, re.MULTILINE)
        assert gauge
        return self.search("a cat")["pending"], self.client.get(self.path).json()["pending"], float(gauge[1])


def soon(true: Callable[[], bool], seconds: float = SOON_S) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.http
def test_a_server_without_a_worker_finds_what_is_written_and_edited(database_url: str, home: Path) -> None:
    with live(database_url, home, "c", embed_share=0.2) as server, server.client(server.key("c", "ingest")) as client:
        caller = Caller(client, "c")
        caller.write(("walrus", "zzz"), ("cat", "aaa"))
        soon(lambda: caller.found("zzz") == ["walrus", "cat"])
        soon(lambda: caller.pending() == (0, 0, 0.0))
        caller.edit("walrus", "qqq")
        assert caller.found("zzz")[0] == "cat"
        soon(lambda: caller.found("qqq")[0] == "walrus")
        caller.undo("walrus")
        assert caller.found("zzz") == ["walrus", "cat"]  # its vectors are still there


@pytest.mark.http
def test_what_waits_is_reported(database_url: str, home: Path) -> None:
    with live(database_url, home, "c", embed_share=0) as server, server.client(server.key("c", "ingest")) as client:
        caller = Caller(client, "c")
        caller.write(("walrus", "zzz"), ("cat", "aaa"))
        soon(lambda: caller.pending() == (2, 2, 2.0))
        assert caller.warnings() == []
        with psycopg.connect(database_url, autocommit=True) as connection:  # as if a minute had gone by
            for table in ("descriptions", "collections"):
                connection.execute(f"UPDATE {table} SET created_at = created_at - interval '1 minute'")
        caller.write(("swan", "sss"))
        soon(lambda: bool(caller.warnings()))
        soon(lambda: caller.pending() == (3, 3, 3.0))
        (warning,) = caller.warnings()
        assert re.fullmatch(
            r"collection \d+: \d images are stored but not searchable yet, the oldest for \d+ s;"
            r" this server embeds nothing: start wordsight worker",
            warning,
        )
        assert re.search(r"^wordsight_pending_oldest_seconds [67]\d\.", client.get("/metrics").text, re.MULTILINE)


@contextmanager
def worker(command: Command) -> Iterator[None]:
    process = command_server.start(["worker"], command.environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.cli
@pytest.mark.encoder
def test_two_server_processes_and_then_a_worker_lose_nothing(animals: Command) -> None:
    key = animals.json("key", "create", "--collection", "animals", "--scope", "ingest")["key"]
    headers = {"Authorization": f"Bearer {key}"}
    with (
        served(animals.environment, "--workers", "2") as server,
        httpx.Client(base_url=server.url, timeout=30, headers=headers) as client,
    ):
        caller = Caller(client, "animals")
        caller.write(("walrus", "A walrus dives into the icy sea."))
        soon(lambda: caller.found("a walrus in the sea")[:1] == ["walrus"])
        caller.edit("walrus", "Steam rises from an old locomotive.")
        soon(lambda: caller.found("a steam locomotive")[:1] == ["walrus"])
        with worker(animals):
            for batch in range(5):
                caller.write(*((f"{batch}-{i}", f"Lamp number {batch * 20 + i} on a table.") for i in range(20)))
                time.sleep(0.5)
            soon(lambda: caller.pending() == (0, 0, 0.0), 60)
        assert caller.found("a steam locomotive")[:1] == ["walrus"]
    with psycopg.connect(animals.database_url) as connection:
        counted = connection.execute("SELECT (SELECT count(*) FROM embeddings), (SELECT count(*) FROM descriptions)")
        assert counted.fetchone() == (len(LINES) + 102, len(LINES) + 102)

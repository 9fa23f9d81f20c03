"""Workers are killed while they do what was acknowledged: everything is done in the end, and nothing twice."""

import hashlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.app.conftest import Command
from tests.app.jobs.working import scripted
from tests.app.live import Live, live
from tests.captioner.conftest import png

pytestmark = [pytest.mark.postgres, pytest.mark.http, pytest.mark.cli, pytest.mark.encoder]
LOST_AFTER_S = "2"


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    program = [str(Path(sys.executable).with_name("wordsight")), "worker"]
    with log.open("ab") as file, subprocess.Popen(program, env=environment, stderr=file) as process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Any, within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def upload(client: httpx.Client, data: bytes) -> dict[str, Any]:
    """Send until a worker runs that takes it: what is refused was not acknowledged."""
    while True:
        answer = client.post("/v1/collections/pets/uploads", content=data)
        if answer.status_code == 202:
            return dict(answer.json())
        assert answer.json()["code"] == "worker_missing", answer.text
        time.sleep(0.2)


def kill_and_count(server: Live, command: Command, photos: Path, engine: str, kills: int) -> Counter[str]:
    """Start an ingestion and uploads, kill the worker that often; counts of how everything ended."""
    environment = command.environment | {
        "WORDSIGHT_JOB_SOURCES": f'["{photos}"]',
        "WORDSIGHT_ENGINE_OPTIONS": f"--base-url {engine} --concurrency 2",
        "WORDSIGHT_WORKER_LOST_AFTER": LOST_AFTER_S,
    }
    log, counts = command.home / "worker.log", Counter[str]()
    with server.client(server.key("*", "admin")) as client:
        client.patch("/v1/collections/pets", json={"engine": "openai"}).raise_for_status()
        order = {"kind": "ingest", "collection": "pets", "source": str(photos)}
        started = client.post("/v1/jobs", json=order).raise_for_status().json()
        jobs, seen = [started["job_id"]], 0

        def read(job: str) -> dict[str, Any]:
            return dict(client.get(f"/v1/jobs/{job}").raise_for_status().json())

        def went_on() -> bool:
            return read(started["job_id"])["counts"].get("inputs", 0) > seen

        for n in range(kills):
            with worker(environment, log) as process:
                jobs.append(upload(client, png((n, 1, 200)))["job_id"])
                until(went_on)
                process.kill()
            seen = read(started["job_id"])["counts"]["inputs"]
            counts["kills"] += 1
        with worker(environment, log):
            until(lambda: all(read(job)["ended_at"] for job in jobs))
            ended = [read(job) for job in jobs]
        counts |= Counter(one["state"] for one in ended)
        counts["most attempts"] = max(one["attempt"] for one in ended)
        counts["inputs"] = sum(one["counts"]["inputs"] for one in ended)
    assert b"Traceback" not in log.read_bytes()
    return counts


def stored(url: str) -> list[tuple[str, int]]:
    """Each image of the collection, or failure to describe it, and how many descriptions it has."""
    with psycopg.connect(url) as connection:
        described = "SELECT image_id, count(d.id) FROM images i JOIN descriptions d ON d.image = i.id GROUP BY image_id"
        failed = "SELECT image_id, 0 FROM outcomes WHERE kind = 'failed'"
        return list(connection.execute(f"{described} UNION ALL {failed}"))


def test_killed_workers_lose_nothing_and_double_nothing(command: Command, database_url: str, home: Path) -> None:
    photos = home / "photos"
    photos.mkdir()
    pictures = [png((n, 99, 7)) for n in range(60)]
    for n, data in enumerate(pictures):
        (photos / f"{n}.png").write_bytes(data)
    kills = 2
    sent = [png((n, 1, 200)) for n in range(kills)]
    with scripted(latency=0.3) as engine, live(database_url, home, "pets", sources=(str(photos),)) as server:
        counts = kill_and_count(server, command, photos, engine, kills)
    print(counts)
    assert (counts["kills"], counts["done"], counts["failed"]) == (kills, 1 + kills, 0)
    assert counts["inputs"] == len(pictures) + len(sent)
    assert counts["most attempts"] == kills + 1
    found = dict(stored(database_url))
    assert len(found) == len(stored(database_url))
    assert set(found) == {hashlib.sha256(data).hexdigest() for data in pictures + sent}
    assert set(found.values()) <= {0, 1}
    assert not any((home / "spool").iterdir())
    assert not any((home / "batches" / "jobs").iterdir())

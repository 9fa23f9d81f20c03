"""Workers under fire: an ingestion and uploads are acknowledged, their worker is killed again and again."""

import hashlib
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests import command_server
from tests.app.live import SECRET_TEXT, Live
from tests.captioner.conftest import png

LOST_AFTER_S = "2"
_LONGEST_S = 240.0
Moment = Callable[[Callable[[], int]], None]
"""Waits until the next kill; is given how many images the ingestion has come to."""


@dataclass
class Campaign:
    """What was done to the workers, and what came of it; `lost` and `doubled` count images."""

    kills: int = 0
    runs: int = 0
    acknowledged: int = 0
    images: int = 0
    lost: int = 0
    doubled: int = 0
    unfinished: int = 0
    leftovers: int = 0
    faults: list[str] = field(default_factory=list)
    attempts: Counter[int] = field(default_factory=Counter)


def environment(base: dict[str, str], photos: Path, engine: str) -> dict[str, str]:
    """A worker's; its secret is the server's."""
    return base | {
        "WORDSIGHT_SECRET": SECRET_TEXT,
        "WORDSIGHT_JOB_SOURCES": f'["{photos}"]',
        "WORDSIGHT_ENGINE_OPTIONS": f"--base-url {engine} --concurrency 2",
        "WORDSIGHT_WORKER_LOST_AFTER": LOST_AFTER_S,
    }


def wage(
    campaign: Campaign, server: Live, environment: dict[str, str], photos: Path, kills: int, moment: Moment
) -> None:
    """One run in a collection of its own: 60 images and one upload for each kill."""
    run, campaign.runs = campaign.runs, campaign.runs + 1
    name, folder, home = f"run-{run}", photos / str(run), Path(environment["WORDSIGHT_HOME"])
    pictures = [png((n, 99, 7 + run)) for n in range(60)]
    folder.mkdir(parents=True)
    for n, data in enumerate(pictures):
        (folder / f"{n}.png").write_bytes(data)
    sent = [png((n, 1, 200 - run)) for n in range(kills)]
    with server.client(server.key("*", "admin")) as client:
        client.post("/v1/collections", json={"name": name, "engine": "openai"}).raise_for_status()
        order = {"kind": "ingest", "collection": name, "source": str(folder)}
        jobs = [client.post("/v1/jobs", json=order).raise_for_status().json()["job_id"]]

        def come_to() -> int:
            return int(_read(client, jobs[0])["counts"].get("inputs", 0))

        for data in sent:
            with _worker(environment) as process:
                jobs.append(_upload(client, name, data))
                moment(come_to)
                process.kill()
            campaign.kills += 1
        with _worker(environment):
            _until(lambda: all(_read(client, job)["ended_at"] for job in jobs))
        ended = [_read(client, job) for job in jobs]
    campaign.acknowledged += len(jobs)
    campaign.unfinished += sum(one["state"] != "done" for one in ended)
    campaign.attempts.update(one["attempt"] for one in ended)
    _count(campaign, server.database_url, name, pictures + sent)
    campaign.leftovers = len([*(home / "spool").glob("*"), *(home / "batches" / "jobs").glob("*")])
    if b"Traceback" in (home / "worker.log").read_bytes():
        campaign.faults.append((home / "worker.log").read_text())


def _count(campaign: Campaign, url: str, name: str, pictures: list[bytes]) -> None:
    wanted = {hashlib.sha256(data).hexdigest() for data in pictures}
    found = Counter(dict(_stored(url, name)))
    campaign.images += len(wanted)
    campaign.lost += len(wanted - found.keys())
    campaign.doubled += len(found.keys() - wanted) + sum(n > 1 for n in found.values())


def _stored(url: str, name: str) -> list[tuple[str, int]]:
    """Each image of a collection and how often it is described; 1 where it is known that it can't be."""
    described = (
        "SELECT image_id, count(d.id) FROM images i JOIN descriptions d ON d.image = i.id"
        " WHERE collection_id = (SELECT id FROM collections WHERE name = %(name)s) GROUP BY image_id"
    )
    failed = "SELECT image_id, 1 FROM outcomes WHERE collection_id = (SELECT id FROM collections WHERE name = %(name)s)"
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return list(connection.execute(f"{described} UNION ALL {failed}", {"name": name}))


@contextmanager
def _worker(environment: dict[str, str]) -> Iterator["command_server.Started | subprocess.Popen[bytes]"]:
    with (Path(environment["WORDSIGHT_HOME"]) / "worker.log").open("ab") as file:
        process = command_server.start(["worker"], environment, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def went_on() -> Moment:
    """The moment when the ingestion has come further than at the kill before."""
    seen = 0

    def wait(come_to: Callable[[], int]) -> None:
        nonlocal seen
        _until(lambda: come_to() > seen)
        seen = come_to()

    return wait


def _read(client: httpx.Client, job: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/jobs/{job}").raise_for_status().json())


def _upload(client: httpx.Client, name: str, data: bytes) -> str:
    """Send until a worker runs that takes it: what is refused was not acknowledged."""
    while True:
        answer = client.post(f"/v1/collections/{name}/uploads", content=data)
        if answer.status_code == 202:
            return str(answer.json()["job_id"])
        assert answer.json()["code"] == "worker_missing", answer.text
        time.sleep(0.2)

"""Campaigns: parts of a site under load are stopped in order, or killed; then every acknowledgement is looked up."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from scenes.catalog.embedded import postgres
from tests.app.kills.campaign import Campaign, compare, until_more
from tests.app.kills.clients import COLLECTION, Client, Ledger
from tests.app.kills.looking_up import look_up
from tests.app.life.site import Site, opened, until
from tests.captioner.conftest import png
from tests.captioner.scripted_server import scripted
from tests.conftest import open_folder

OTHER = {"server": "worker", "worker": "server"}
_JOBS_DONE_S = 180.0


@dataclass
class Outcome:
    """What came of the rounds of one campaign. `slowest_s` is of stops, `away_s` how long a kill was felt at most."""

    rounds: int = 0
    acknowledged: int = 0
    searches: int = 0
    searches_lost: int = 0
    uploads: int = 0
    slowest_s: float = 0.0
    away_s: float = 0.0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)


Act = Callable[[Site, random.Random, Outcome], None]
"""One round: does something to a site that runs, and leaves it running."""


def stopping(who: str, number: signal.Signals) -> Act:
    """A signal to the server or the worker; in every second round the other one has ended before, so it is the last."""

    def act(site: Site, chance: random.Random, outcome: Outcome) -> None:
        time.sleep(chance.uniform(0.0, 1.0))
        others = [OTHER[who]] if outcome.rounds % 2 else []
        for one in (*others, who):
            outcome.slowest_s = max(outcome.slowest_s, round(site.stop(one, number), 1))
        for one in (who, *others):
            site.start(one)

    return act


def killing(kill: Callable[[Site, random.Random], None]) -> Act:
    """A SIGKILL, until the service is whole again."""

    def act(site: Site, chance: random.Random, outcome: Outcome) -> None:
        time.sleep(chance.uniform(0.0, 1.0))
        started = time.monotonic()
        kill(site, chance)
        outcome.away_s = max(outcome.away_s, round(time.monotonic() - started, 1))

    return act


def _restarted(who: str) -> Callable[[Site, random.Random], None]:
    """Started again, as a service manager does."""

    def kill(site: Site, _chance: random.Random) -> None:
        site.kill(who)
        site.start(who)

    return kill


ACTS: dict[str, Act] = {
    "SIGTERM server": stopping("server", signal.SIGTERM),
    "SIGINT server": stopping("server", signal.SIGINT),
    "SIGTERM worker": stopping("worker", signal.SIGTERM),
    "SIGINT worker": stopping("worker", signal.SIGINT),
    "SIGKILL server": killing(_restarted("server")),
    "SIGKILL server process": killing(lambda site, chance: site.kill_server_process(chance)),
    "SIGKILL worker": killing(_restarted("worker")),
    "SIGKILL postmaster": killing(lambda site, _chance: site.kill_postmaster()),
    "SIGKILL Postgres backend": killing(lambda site, chance: site.kill_backend(chance)),
}


@contextmanager
def running_site(processes: int = 2) -> Iterator[Site]:
    """A fresh site whose server and worker run, with a collection that an engine describes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open_folder() as home, tempfile.TemporaryDirectory() as around, scripted(latency=0.2) as engine:
        scratch, logs = Path(around) / "tmp", Path(around) / "logs"
        logs.mkdir()
        scratch.mkdir()
        with opened(Site(home, scratch, logs, port, engine, processes)) as site:
            site.start("server")
            site.start("worker")
            yield site


def wage(site: Site, name: str, rounds: int, chance: random.Random, *, uploads: bool = True) -> Outcome:
    """Rounds of one campaign under load; afterwards everything is looked up, and the site is stopped in order."""
    outcome, campaign, ledger = Outcome(), Campaign(), Ledger()
    key = _key(site)
    with httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        body = {"name": COLLECTION, "engine": "openai", "engine_model": "scripted"}
        if not http.get(f"/v1/collections/{COLLECTION}").is_success:
            http.post("/v1/collections", json=body).raise_for_status()
    with postgres(site.home, None) as url:
        before = look_up(url.replace("+psycopg", ""))
    client = Client(site.url, key, ledger, a_worker_runs=True)
    asyncio.run(_under_load(site, client, outcome, rounds, chance, ACTS[name], uploads=uploads))
    with postgres(site.home, None) as url:
        plain = url.replace("+psycopg", "")
        until(lambda: _unfinished(plain) == 0, _JOBS_DONE_S, lambda: "jobs were acknowledged and are not done")
        after, outcomes = look_up(plain), _outcomes(plain)
    compare(campaign, ledger, before, after, name)
    missing = set(ledger.uploads.values()) - after.summaries.keys() - outcomes
    outcome.lost = campaign.lost + [f"upload {one[:8]}" for one in missing]
    outcome.doubled, outcome.untyped = campaign.doubled, ledger.untyped
    outcome.acknowledged, outcome.uploads = ledger.writes.total() + len(ledger.uploads), len(ledger.uploads)
    outcome.searches, outcome.searches_lost = len(ledger.searches), campaign.searches_lost[name]
    return outcome


def end(site: Site) -> None:
    """Stop the server and then the worker, each by another signal; nothing may be left."""
    site.stop("server", signal.SIGTERM)
    site.stop("worker", signal.SIGINT)


async def _under_load(
    site: Site, client: Client, outcome: Outcome, rounds: int, chance: random.Random, act: Act, *, uploads: bool
) -> None:
    stop, first = asyncio.Event(), chance.randrange(10**9)
    pictures = (png((chance.randrange(256), chance.randrange(256), chance.randrange(256))) for _ in range(10**6))
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(client.write(stop, first + number))
        group.create_task(client.search(stop))
        if uploads:
            group.create_task(client.upload(stop, pictures))
        try:
            for _ in range(rounds):
                await until_more(client.ledger, chance.randint(1, 10))
                await asyncio.to_thread(act, site, chance, outcome)
                outcome.rounds += 1
            await until_more(client.ledger, 1)
        finally:
            stop.set()


def _key(site: Site) -> str:
    program = [str(Path(sys.executable).with_name("wordsight")), "key", "create", "--collection", "*"]
    words = [*program, "--scope", "admin", "--json"]
    done = subprocess.run(words, env=site.environment, capture_output=True, text=True, check=True, timeout=60)
    return str(json.loads(done.stdout)["key"])


def _outcomes(url: str) -> set[str]:
    """The images of which it is known why they have no description: the scripted engine fails on some."""
    with psycopg.connect(url) as connection:
        return {image for (image,) in connection.execute("SELECT image_id FROM outcomes")}


def _unfinished(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM jobs WHERE ended_at IS NULL").fetchone()
    return int(row[0]) if row else 0

"""A campaign: clients write and search, parts of the service are killed, then every acknowledgement is looked up."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.app.kills.clients import COLLECTION, Client, Ledger
from tests.app.kills.looking_up import Found, look_up
from tests.app.kills.service import Service


@dataclass
class Campaign:
    """What came of it. `lost` and `doubled` count acknowledged writes, `away_s` how long a kill was felt at most."""

    kills: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    searches: int = 0
    searches_lost: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    away_s: dict[str, float] = field(default_factory=dict)


def wage(
    campaign: Campaign,
    service: Service,
    key: str,
    name: str,
    kill: Callable[[], float],
    after: Sequence[int],
    writers: int = 3,
) -> None:
    """Kill one kind of part under load, each time `after` so many more acknowledged writes; look everything up."""
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        if not http.get(f"/v1/collections/{COLLECTION}").is_success:
            http.post("/v1/collections", json={"name": COLLECTION}).raise_for_status()
    ledger, before = Ledger(), look_up(service.database_url)
    seed = random.Random(campaign.kills.total()).randrange(10**6)
    away = asyncio.run(_under_fire(service, key, ledger, kill, after, range(seed, seed + writers)))
    campaign.kills[name] += len(after)
    campaign.away_s[name] = round(max([campaign.away_s.get(name, 0.0), *away]), 1)
    campaign.answers += ledger.answers
    campaign.untyped += ledger.untyped
    campaign.acknowledged += ledger.writes.total()
    campaign.searches += len(ledger.searches)
    compare(campaign, ledger, before, look_up(service.database_url), name)


async def _under_fire(
    service: Service,
    key: str,
    ledger: Ledger,
    kill: Callable[[], float],
    after: Sequence[int],
    numbers: Sequence[int],
) -> list[float]:
    stop, client = asyncio.Event(), Client(service.url, key, ledger)
    away = []
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(client.write(stop, number))
        group.create_task(client.search(stop))
        try:
            for more in after:
                await until_more(ledger, more)
                away.append(await asyncio.to_thread(kill))
            await until_more(ledger, 1)
        finally:
            stop.set()
    await asyncio.sleep(2.0)  # stored searches are written beside the answers
    return away


def compare(campaign: Campaign, ledger: Ledger, before: Found, after: Found, name: str) -> None:
    """Each acknowledged write is there, and its line in the audit log once; nothing else was written."""
    for image, summary in ledger.summaries.items():
        if after.summaries.get(image) != summary:
            campaign.lost.append(f"{image[:8]} says {after.summaries.get(image)!r} instead of {summary!r}")
    done = after.writes - before.writes
    campaign.lost += [f"{n} of {write}" for write, n in (ledger.writes - done).items()]
    campaign.doubled += [f"{n} of {write}" for write, n in (done - ledger.writes).items()]
    campaign.searches_lost[name] += len(set(ledger.searches) - after.searches)


async def until_more(ledger: Ledger, more: int) -> None:
    """Until so many more writes, and a search, are acknowledged."""
    writes, searches = ledger.writes.total() + more, len(ledger.searches)
    while ledger.writes.total() < writes or len(ledger.searches) <= searches:  # noqa: ASYNC110 - told by other tasks
        await asyncio.sleep(0.01)

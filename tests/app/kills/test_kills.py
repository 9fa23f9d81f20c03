"""Postgres and server processes are killed under load: nothing acknowledged is lost or done twice, all comes back."""

import os
import random
from pathlib import Path

import pytest

from tests.app.conftest import Command
from tests.app.kills.campaign import Campaign, wage
from tests.app.kills.service import Service
from tests.app.serving import served


@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.encoder
def test_killed_parts_come_back_and_lose_nothing(home: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["WORDSIGHT_HOME"] = str(home)
    campaign, chance = Campaign(), random.Random(7)
    with served(environment, "--workers", "2") as server:
        command = Command(home, "")
        key = command.json("key", "create", "--collection", "*", "--scope", "admin")["key"]
        service = Service(server.url, home, server.pid, 2)
        wage(campaign, service, key, "postgres", service.kill_postgres, (10, 5))
        wage(campaign, service, key, "process", lambda: service.kill_process(chance), (10,))
    print(campaign)
    assert (campaign.lost, campaign.doubled, campaign.untyped) == ([], [], [])
    assert campaign.searches_lost["postgres"] == 0
    assert campaign.kills == {"postgres": 2, "process": 1}
    assert campaign.acknowledged > 25
    assert campaign.searches > 4

"""Workers are killed while they do what was acknowledged: everything is done in the end, and nothing twice."""

from pathlib import Path

import pytest

from tests.app.conftest import Command
from tests.app.jobs.killing import Campaign, environment, wage, went_on
from tests.app.live import live
from tests.captioner.scripted_server import scripted


@pytest.mark.postgres
@pytest.mark.http
@pytest.mark.cli
@pytest.mark.encoder
def test_killed_workers_lose_nothing_and_double_nothing(command: Command, database_url: str, home: Path) -> None:
    photos, campaign = home / "photos", Campaign()
    with scripted(latency=0.4) as engine, live(database_url, home, sources=(str(photos),)) as server:
        wage(campaign, server, environment(command.environment, photos, engine), photos, 2, went_on())
    print(campaign)
    assert (campaign.kills, campaign.acknowledged, campaign.images) == (2, 3, 62)
    assert (campaign.lost, campaign.doubled, campaign.unfinished, campaign.leftovers) == (0, 0, 0, 0)
    assert campaign.faults == []
    assert max(campaign.attempts) == 3

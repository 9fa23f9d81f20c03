"""Fault injection: killed at random moments, workers lose nothing and double nothing."""

from collections import Counter
from pathlib import Path

import pytest

from tests.captioner.killing import Campaign, Outcomes, sixty, undisturbed_outcomes, wage

pytestmark = [pytest.mark.http]
KILLS, MANY_KILLS = 40, 200


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sixty(tmp_path / "source")


@pytest.fixture
def undisturbed(source: Path, tmp_path: Path) -> Outcomes:
    found = undisturbed_outcomes(source, tmp_path / "undisturbed")
    kinds = Counter(kind for kind, _ in found.values())
    assert len(found) == 60
    assert kinds["described"] >= 48, kinds
    assert kinds["refused"] == 5
    assert kinds["failed"] >= 2
    return found


def check(campaign: Campaign, kills: int) -> None:
    print(campaign)
    assert sum(campaign.kills.values()) >= kills
    assert campaign.kills["SIGKILL"] >= kills // 4
    assert campaign.full_disks >= kills // 40
    assert (campaign.lost, campaign.doubled, campaign.differing) == (0, 0, 0), str(campaign)


def test_forty_kills_lose_nothing(source: Path, undisturbed: Outcomes, tmp_path: Path) -> None:
    check(wage(source, tmp_path, undisturbed, kills=KILLS, seed=20), KILLS)


@pytest.mark.long
def test_two_hundred_kills_lose_nothing(source: Path, undisturbed: Outcomes, tmp_path: Path) -> None:
    check(wage(source, tmp_path, undisturbed, kills=MANY_KILLS, seed=1), MANY_KILLS)

"""A server is killed under load, then it and the worker are stopped: nothing is left, no acknowledged write is lost."""

import random

import pytest

from tests.app.life.campaign import end, running_site, wage

pytestmark = [pytest.mark.timeout(600), pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]


def test_what_is_killed_comes_back_and_what_is_stopped_leaves_nothing() -> None:
    with running_site(processes=1) as site:
        outcome = wage(site, "SIGKILL server", 1, random.Random(7), uploads=False)
        end(site)
    assert (outcome.lost, outcome.doubled, outcome.untyped) == ([], [], [])
    assert outcome.rounds == 1

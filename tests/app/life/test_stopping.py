"""A server and a worker under load are stopped, and killed: nothing is left, nothing acknowledged is lost."""

import random
import signal

import pytest

from tests.app.life.campaign import ACTS, Outcome, end, running_site, wage
from tests.app.life.site import Site

pytestmark = [pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]


def test_what_is_stopped_leaves_nothing_and_what_is_killed_comes_back() -> None:
    def each(site: Site, chance: random.Random, outcome: Outcome) -> None:
        """Both parts by another signal each, the worker last; then one server process is killed."""
        server, worker = site.stop("server", signal.SIGTERM), site.stop("worker", signal.SIGINT)
        outcome.slowest_s = max(server, worker)
        site.start("server")
        site.start("worker")
        ACTS["SIGKILL server"](site, chance, outcome)

    with running_site() as site:
        outcome = wage(site, "each", 1, random.Random(7), each)
        end(site)
    print(outcome)
    assert (outcome.lost, outcome.doubled, outcome.untyped) == ([], [], [])

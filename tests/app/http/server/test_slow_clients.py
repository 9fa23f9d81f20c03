"""Among slow and endless clients a real server is alive at once and serves others; a minute of it is `test-long`."""

import asyncio

import pytest

from tests.app.conftest import Command
from tests.app.http.server.slow_clients import KINDS, Target, drive
from tests.app.serving import served

pytestmark = [pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]


def test_among_slow_clients_others_are_served(animals: Command) -> None:
    keys = [animals.json("key", "create", "--collection", "animals", "--scope", "search")["key"] for _ in range(2)]
    quick = {"WORDSIGHT_HEAD_TIMEOUT": "1", "WORDSIGHT_BODY_TIMEOUT": "1"}
    with served(animals.environment | quick) as server:
        seen = asyncio.run(drive(Target(server.url, "animals", keys[0]), keys[1], seconds=7, clients=4))
    assert max(seen.alive_s) < 1
    assert len(seen.searches_s) > 10
    assert not seen.refused
    assert {kind.__name__ for kind in KINDS} == {kind for kind, ended in seen.ended.items() if ended}

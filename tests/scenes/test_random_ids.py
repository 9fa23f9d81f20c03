"""Ids drawn many at a time are as random as ids drawn one by one, also in a forked child."""

import os

from scenes.identity import random_id


def test_no_id_comes_twice() -> None:
    drawn = [random_id() for _ in range(2_000)]
    assert len(set(drawn)) == 2_000
    assert {one.version for one in drawn} == {4}


def test_a_forked_child_draws_its_own() -> None:
    random_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, random_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 16) != random_id().bytes

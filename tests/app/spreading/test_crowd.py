"""Each process knows who of those that live has fewer connections."""

import os
from pathlib import Path

from app.spreading.crowd import Crowd

NOBODY = 2**22 + 1
"""More than Linux gives: no process has this number."""


def test_who_has_fewer_is_known_as_soon_as_it_changes(tmp_path: Path) -> None:
    mine, other = Crowd(tmp_path), Crowd(tmp_path, os.getppid())
    assert not mine.has_more_than_another()
    mine.came()
    assert mine.has_more_than_another()
    other.came()
    assert not mine.has_more_than_another()
    other.went()
    assert mine.has_more_than_another()


def test_who_is_dead_or_gone_has_no_connections(tmp_path: Path) -> None:
    now = [0.0]
    mine, other = Crowd(tmp_path, clock=lambda: now[0]), Crowd(tmp_path, os.getppid())
    Crowd(tmp_path, NOBODY)
    mine.came()
    assert mine.has_more_than_another()
    other.leave()
    now[0] = 1.0
    assert not mine.has_more_than_another()


def test_a_file_that_is_not_written_yet_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / f"connections-{os.getppid()}").touch()
    mine = Crowd(tmp_path)
    mine.came()
    assert not mine.has_more_than_another()

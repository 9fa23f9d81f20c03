"""A worker keeps the engines that jobs use, and a few more."""

import threading
from pathlib import Path

import pytest

from app.worker.job_executor import MOST_IDLE, Describers
from scenes.allowed.models import AllowedModels
from scenes.collection import Collection

pytestmark = pytest.mark.http


def engines() -> int:
    """Each engine of this kind has a thread of this name."""
    return sum(thread.name == "openai" for thread in threading.enumerate())


def described_by(model: str) -> Collection:
    return Collection(name="pets", engine="openai", engine_model=model)


async def test_engines_that_no_job_uses_are_closed_but_for_the_last_few(tmp_path: Path) -> None:
    describers, before = Describers("--base-url http://127.0.0.1:1/v1", AllowedModels(tmp_path)), engines()
    async with describers.of(described_by("in use")) as used:
        for n in range(3 * MOST_IDLE):
            async with describers.of(described_by(f"model {n}")) as one:
                assert one.recipe.model == f"model {n}"
        assert engines() - before == MOST_IDLE + 1
        async with describers.of(described_by("in use")) as again:
            assert again is used
    assert engines() - before == MOST_IDLE
    describers.close()
    assert engines() == before

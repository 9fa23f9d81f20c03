"""A world that a server can serve: a collection with descriptions, and the command as a user runs it."""

import json
import logging
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.http.telemetry.request_log import REQUESTS
from tests import command_server


@dataclass(frozen=True)
class Command:
    """The installed command with its own data folder and a database of its own."""

    home: Path
    database_url: str

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"WORDSIGHT_HOME": str(self.home), "DATABASE_URL": self.database_url}

    def run(self, *words: str, timeout: float = 180) -> "subprocess.CompletedProcess[str]":
        return command_server.run(words, self.environment, timeout=timeout)

    def json(self, *words: str, code: int = 0) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def command(home: Path, database_url: str) -> Command:
    return Command(home, database_url)


LINES = [
    {"id": "1", "text": "A ginger cat sleeps on a blue sofa.", "metadata": {"year": 2020}},
    {"id": "2", "text": "Two dogs run along a sunny beach."},
    {"id": "3", "description": {"summary": "A red bus in the snow.", "objects": [{"name": "bus", "colour": "red"}]}},
]


@pytest.fixture
def animals(command: Command, tmp_path: Path) -> Command:
    """A collection `animals` of three imported descriptions."""
    file = tmp_path / "animals.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in LINES))
    assert command.json("import", str(file), "--collection", "animals")["imported"] == len(LINES)
    return command


@pytest.fixture
def request_lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """What the request log wrote so far, with every request logged."""
    monkeypatch.setattr(logging.getLogger(REQUESTS), "propagate", True)
    caplog.set_level(logging.INFO, logger=REQUESTS)
    return lambda: [json.loads(record.getMessage()) for record in caplog.records if record.name == REQUESTS]

"""What the commands write below WORDSIGHT_HOME, under a umask that closes nothing."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests import command_server
from tests.app.conftest import LINES, Command

pytestmark = [pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]


def openly(command: Command, *words: str) -> None:
    done = command_server.run(words, command.environment, umask=0)
    assert done.returncode == 0, done.stderr


def test_everything_in_the_data_folder_is_the_users_alone(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in LINES))
    openly(command, "import", str(file), "--collection", "c")
    openly(command, "snapshot", "c", "--out", str(command.home / "snapshots" / "c.snapshot"))
    found = {one: one.lstat() for one in [command.home, *command.home.rglob("*")]}
    names = {one.relative_to(command.home).parts[0] for one in found if one != command.home}
    assert {"releases", "signing-key", "snapshots"} <= names
    ours = {one: status for one, status in found.items() if status.st_uid == os.geteuid()}
    assert {str(one): oct(status.st_mode) for one, status in ours.items() if stat.S_IMODE(status.st_mode) & 0o077} == {}

"""`wordsight gone`, as a user runs it."""

import json
from pathlib import Path

import pytest

from tests.app.conftest import Command

pytestmark = [pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]


def test_what_is_gone_is_listed_and_removed_on_request(command: Command, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("a", "b"):
        (source / f"{name}.png").write_bytes(name.encode())
    rows = [{"id": name, "text": f"Picture {name}.", "uri": (source / f"{name}.png").as_uri()} for name in ("a", "b")]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command.json("import", str(tmp_path / "rows.jsonl"), "--collection", "c")
    words = ("gone", str(source), "--collection", "c")
    assert command.json(*words) == {"gone": [], "removed": 0}
    (source / "a.png").unlink()
    listed = command.json(*words)
    assert [one["uris"] for one in listed["gone"]] == [[(source / "a.png").as_uri()]]
    assert command.json(*words, "--remove")["removed"] == 1
    assert command.json(*words) == {"gone": [], "removed": 0}
    assert command.json("collection", "show", "c")["images"] == 1

"""A collection travels: a snapshot taken here answers on a machine that has nothing but the command."""

from pathlib import Path

import pytest

from tests.app.conftest import Command
from tests.conftest import open_folder

pytestmark = [pytest.mark.timeout(600), pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]


def test_restored_on_a_bare_machine_it_answers_the_same(animals: Command, tmp_path: Path) -> None:
    file = tmp_path / "animals.snapshot"
    animals.json(
        "collection", "set", "animals", "--search-log", "full", "--search-log-days", "300", "--engine", "basic"
    )
    taken = animals.json("snapshot", "animals", "--out", str(file))
    assert (taken["images"], taken["descriptions"], taken["vectors"], taken["erasures"]) == (3, 3, 3, 0)
    query = ("search", "dogs by the sea", "--collection")
    before = animals.json(*query, "animals")
    with open_folder() as home:
        bare = Command(home, "")  # no DATABASE_URL: a Postgres of its own
        assert bare.run("restore", str(file), "--signed-by", "00" * 32).returncode == 2
        unknown = bare.json("restore", str(file), "--as", "copy", code=2)["error"]
        assert (unknown["code"], taken["signed_by"] in unknown["message"]) == ("snapshot_signer_unknown", True)
        named = f"wordsight restore {file} --as copy --signed-by {taken['signed_by']}"
        assert unknown["fix"].endswith(named)
        assert bare.json("collection", "list") == {"collections": []}
        done = bare.json(*named.split()[1:])
        assert (done["images"], done["embedded"], done["erased"], done["signer"]) == (3, 0, 0, "expected")
        assert done["tightened"] == {
            "search_log": {"from": "full", "to": "results"},
            "search_log_expiry": {"from": "P300D", "to": "P30D"},
            "engine": {"from": "basic", "to": None},
        }
        shown = bare.json("collection", "show", "copy")
        assert (shown["search_log"], shown["search_log_expiry"], shown["engine"]) == ("results", "P30D", None)
        after = bare.json(*query, "copy")
        assert bare.json("index", "verify", "--collection", "copy")["drift"] == []
        assert bare.json(*named.split()[1:], code=2)["error"]["code"] == "collection_exists"
        cut = tmp_path / "cut"
        cut.write_bytes(file.read_bytes()[:-100])
        assert bare.json("restore", str(cut), code=1)["error"]["code"] == "snapshot_unreadable"
    same = ("image_id", "external_id", "score", "probability", "description", "metadata", "source", "evidence")
    shown = [[{name: one[name] for name in same} for one in answer["results"]] for answer in (before, after)]
    assert shown[0] == shown[1]
    assert (after["release"], after["matches"]) == (done["release"], before["matches"])


def test_vectors_of_another_encoder_are_not_taken(animals: Command, tmp_path: Path) -> None:
    file = tmp_path / "animals.snapshot"
    animals.json("snapshot", "animals", "--out", str(file))
    words = ("restore", str(file), "--as", "other", "--encoder", "all-minilm-l6-v2")
    told = animals.json(*words, code=2)["error"]
    assert told["code"] == "snapshot_of_another_encoder"
    assert "--embed" in told["fix"]
    assert animals.json("collection", "show", "other", code=2)["error"]["code"] == "collection_unknown"
    done = animals.json(*words, "--embed")
    assert (done["vectors"], done["embedded"], done["signer"]) == (0, 3, "own")
    animals.json("collection", "set", "other", "--search-log", "full")
    animals.json("snapshot", "other", "--out", str(file))
    kept = animals.json("restore", str(file), "--as", "third", "--keep-policies", "--max-part-mib", "1")
    assert (kept["tightened"], animals.json("collection", "show", "third")["search_log"]) == ({}, "full")
    found = animals.json("search", "dogs by the sea", "--collection", "other")
    assert found["results"][0]["external_id"] == "2"

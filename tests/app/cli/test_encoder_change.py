"""Another encoder, as a user changes to it and back."""

import json
from pathlib import Path

import pytest

from tests.app.conftest import Command

pytestmark = [pytest.mark.timeout(600), pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]
HERE = ("--collection", "animals")
OTHER = "all-minilm-l6-v2"


def test_beside_compared_flipped_and_rolled_back(animals: Command, tmp_path: Path) -> None:
    refused = animals.json("collection", "set", "animals", "--encoder", OTHER, code=2)
    assert refused["error"]["code"] == "encoder_in_use"
    assert animals.json("index", "build", "--beside", *HERE, code=2)["error"]["code"] == "beside_incomplete"
    assert animals.json("index", "flip", *HERE, code=2)["error"]["code"] == "candidate_missing"
    old = animals.json("index", "status", *HERE)
    new = animals.json("index", "build", "--beside", "--encoder", OTHER, *HERE)
    assert (new["rows"], new["encoder"]) == (3, OTHER)
    status = animals.json("index", "status", *HERE)
    assert (status["release"], status["candidate"]) == (old["release"], new["release"])
    assert animals.json("index", "compare", *HERE, code=2)["error"]["code"] == "questions_missing"
    animals.json("collection", "set", "animals", "--search-log", "full")
    animals.json("search", "a dog by the sea", *HERE)
    golden = tmp_path / "golden.jsonl"
    golden.write_text(json.dumps({"query": "a sleeping cat", "expected": "1"}) + "\n")
    told = animals.json("index", "compare", "--queries", str(golden), *HERE)
    assert (told["questions"], told["golden"], told["overlap"], told["same_first"]) == (2, 1, 1.0, 1.0)
    assert (told["found_before"], told["found_after"], told["candidate"]) == (1.0, 1.0, OTHER)
    flipped = animals.json("index", "flip", *HERE)
    assert (flipped["release"], flipped["embedded"]) == (new["release"], 0)
    assert animals.json("index", "verify", *HERE)["drift"] == []
    answer = animals.json("search", "a sleeping cat", *HERE)
    assert (answer["release"], answer["results"][0]["external_id"]) == (new["release"], "1")
    back = animals.json("index", "rollback", *HERE)
    assert (back["release"], back["encoder"]) == (old["release"], None)
    assert animals.json("search", "a sleeping cat", *HERE)["release"] == old["release"]
    assert animals.json("index", "forget", *HERE) == {"dropped": 3}
    assert animals.json("index", "rollback", *HERE, code=2)["error"]["code"] == "release_previous_missing"

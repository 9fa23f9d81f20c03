"""`--reranker DIR`, as a user gives it."""

import json
from pathlib import Path

import pytest

from indexer.reranking.cross_encoder import FolderReranker
from scenes.description import SceneDescription
from scenes.wording import whole_text
from tests.app.conftest import LINES, Command
from tests.beir import write_set
from tests.indexer.reranking.rerankers import tiny_cross_encoder

pytestmark = [pytest.mark.timeout(600), pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]
QUERY = "a bus in winter"


def texts() -> dict[str, str]:
    """What the collection `animals` says."""
    bodies = [(str(one["id"]), one.get("description") or {"detail": one["text"]}) for one in LINES]
    return {name: whole_text(SceneDescription.model_validate(body)) for name, body in bodies}


def test_a_search_and_an_evaluation_are_ordered_by_it(animals: Command, tmp_path: Path) -> None:
    reranker = FolderReranker.load(tiny_cross_encoder(tmp_path / "mine"))
    said = texts()
    scores = dict(zip(said, reranker.scores(QUERY, list(said.values())).tolist(), strict=True))
    order = sorted(scores, key=lambda one: -scores[one])
    flag = ("--reranker", str(tmp_path / "mine"))
    found = animals.json("search", QUERY, "--collection", "animals", *flag)
    assert ([one["external_id"] for one in found["results"]], found["reranked"]) == (order, 3)
    assert {one["probability"] for one in found["results"]} == {None}

    corpus = [{"_id": name, "text": text} for name, text in said.items()]
    folder = write_set(tmp_path / "set", corpus, [{"_id": "q", "text": QUERY}], f"q\t{order[1]}\t1\n")
    pairs = tmp_path / "pairs.jsonl"
    captions = [{"caption": QUERY, "negative": "x", "kind": "k", "doc_id": one} for one in said]
    pairs.write_text("".join(json.dumps(one) + "\n" for one in captions))
    report = tmp_path / "report"
    told = animals.json("eval", str(folder), "--compositional", str(pairs), "--report", str(report), *flag)
    assert (told["mrr"], told["reranker"]) == (0.5, reranker.name)
    better = [scores[one] > reranker.scores("x", [text])[0] for one, text in said.items()]
    assert told["compositional"]["all"] == pytest.approx(sum(better) / 3, abs=1e-4)
    assert reranker.name in (report / "report.md").read_text()
    live = animals.json("eval", str(folder), "--collection", "animals", *flag)
    assert (live["mrr"], live["reranker"]) == (0.5, reranker.name)


def test_a_folder_that_is_none_is_told(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command.run("search", "x", "-c", "c", "--reranker", str(tmp_path / "none"))
    assert (done.returncode, "there is no folder" in done.stderr) == (2, True), done.stderr
    monkeypatch.setenv("WORDSIGHT_RERANKER", str(tmp_path))
    served = command.run("serve")
    assert (served.returncode, "holds no cross-encoder" in served.stderr) == (2, True), served.stderr
    checks = {one["name"]: one for one in command.json("doctor", code=3)["checks"]}
    assert (checks["reranker"]["ok"], "holds no cross-encoder" in checks["reranker"]["detail"]) == (False, True)

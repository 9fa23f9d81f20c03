"""`wordsight caption run|status|retry|estimate --json` as in the contract, over a scripted server."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from tests.captioner.conftest import png
from tests.captioner.scripted_server import scripted

pytestmark = [pytest.mark.cli, pytest.mark.http]
STATUS = {"pending", "described", "refused", "failed", "reasons"}
RUN = {"described", "refused", "failed", "already", "inputs", "seconds", "reasons"}


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    folder = tmp_path / "ten"
    folder.mkdir()
    for n in range(8):
        (folder / f"{n}.png").write_bytes(png((n * 30, 10, 200 - n * 20)))
    (folder / "text.png").write_text("not an image")
    (folder / "empty.png").write_bytes(b"")
    return folder


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> dict[str, Any]:
    assert run(["caption", *words]) == code
    body: dict[str, Any] = json.loads(capsys.readouterr().out)
    return body


def test_run_status_retry_and_estimate_speak_as_in_the_contract(
    ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    engine = ("--redact", "none", "--engine", "openai", "--model", "scripted", "--json")
    with scripted(latency=0.001, says="nothing that parses") as url:
        ran = told(
            capsys, "run", str(ten), "--out", out, *engine, "--", "--base-url", url, "--concurrency", "3", code=1
        )
        assert ran.keys() >= RUN
        counts = ("described", "refused", "failed", "already", "inputs")
        assert [ran[name] for name in counts] == [0, 2, 8, 0, 10]
        assert ran["reasons"] == {"reply_invalid": 8, "not_an_image": 1, "empty": 1}
        status = told(capsys, "status", out, "--json", code=0)
        assert status.keys() >= STATUS
        assert (status["pending"], status["failed"], status["reasons"]) == (0, 8, ran["reasons"])
        again = told(capsys, "retry", out, "--reason", "reply_invalid", "--json", code=1)
        assert (again["failed"], again["inputs"]) == (8, 8)
        assert again.keys() >= RUN | {"pending"}
    with scripted(latency=0.001) as url:
        estimated = told(capsys, "estimate", str(ten), "--sample", "10", *engine, "--", "--base-url", url, code=0)
        assert estimated.keys() >= STATUS | {"images", "tokens_in", "tokens_out", "gpu_hours", "disk_bytes"}
        assert (estimated["pending"], estimated["images"], estimated["refused"]) == (10, 10, 2)


def test_a_reason_that_nothing_has_and_a_folder_without_batches_are_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = told(capsys, "retry", str(tmp_path), "--reason", "boredom", "--json", code=2)
    assert body["error"]["code"] == "reason_unknown"
    assert told(capsys, "status", str(tmp_path), "--json", code=2)["error"]["code"] == "batches_missing"

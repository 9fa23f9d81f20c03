"""Flat memory: peak RSS of planning, running and resuming over 10,000 and over 1,000,000 synthetic images.

The images are real, tiny, distinct PNG files made on the fly; the engine is scripted; everything else is the
pipeline as it ships. Each size runs in a process of its own. The bar: under 200 MB more for a hundred times more.
"""

import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

from benchmarks import recording
from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import finished
from captioner.batches.status import status
from captioner.engines.engine import Answer, Reply, Request
from captioner.pipeline.run import caption
from captioner.sources import Item
from scenes.recipe import CaptionRecipe

MEASURED = ("captioner", "scenes/artifact.py", "scenes/outcome.py", "scenes/description.py")
SIZES = (10_000, 1_000_000)
BAR_MB = 200.0


class Scripted:
    """An engine that answers at once, by the picture's id."""

    recipe = CaptionRecipe(engine="openai", model="scripted", prompt="scene-1")
    slots = 64
    can_verify = False

    def submit(self, request: Request) -> "Future[Answer]":
        future: Future[Answer] = Future()
        future.set_result(Reply(json.dumps({"detail": f"Picture {request.picture.image_id}."}), "stop", 9, 9, 0.0))
        return future

    def close(self) -> None:
        """Nothing is held."""


def entries(n: int) -> Iterator[Item]:
    """`n` distinct images, none of them held."""
    for i in range(n):
        yield Item(f"synthetic://{i}", lambda _limit, i=i: tiny_png(i))


def tiny_png(i: int) -> bytes:
    """A PNG of 2 × 1 pixels whose colours spell `i`."""
    body = zlib.compress(b"\0" + i.to_bytes(6, "big"), 1)
    head = struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def measure(n: int) -> dict[str, float]:
    """Run, plan again and resume over `n` images; seconds and the peak RSS in MB so far after each."""
    engine = Scripted()
    with tempfile.TemporaryDirectory() as out:
        folder = BatchFolder.for_recipe(Path(out), engine.recipe)
        started = time.perf_counter()
        first = caption(entries(n), engine, folder)
        ran = time.perf_counter()
        with closing(finished(folder)) as table:
            planned = len(table)
        planned_at = time.perf_counter()
        again = caption(entries(n), engine, folder)
        resumed = time.perf_counter()
        told = status(Path(out))
        if not first.described == planned == again.already == told.described == n:
            raise AssertionError((first.described, planned, again.already, told.described, n))
        return {
            "run_s": ran - started,
            "plan_s": planned_at - ran,
            "resume_s": resumed - planned_at,
            "status_s": time.perf_counter() - resumed,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def main() -> None:
    """Measure both sizes and record them. Raises `AssertionError` where the bar is missed."""
    figures: dict[str, object] = {}
    for n in SIZES:
        words = [sys.executable, "-m", "benchmarks.bench_captioner_memory", str(n)]
        done = subprocess.run(words, cwd=recording.ROOT, capture_output=True, text=True, check=True)
        figures[str(n)] = json.loads(done.stdout)
        print(n, figures[str(n)], flush=True)
    small, large = (figures[str(n)]["peak_mb"] for n in SIZES)  # type: ignore[index]
    figures |= {"grows_mb": large - small, "bar_mb": BAR_MB}
    recording.record("bench_captioner_memory", figures, measured=MEASURED)
    if large - small >= BAR_MB:
        raise AssertionError(f"memory grew by {large - small:.0f} MB")


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))

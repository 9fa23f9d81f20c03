"""Hostile files: whatever the bytes, an outcome, in bounded time and memory."""

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from captioner.images.decoding import MAX_PIXELS

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF")
FILES, SEED = 500, 20
PEAK_MB = 300 + max(2, os.cpu_count() or 2) * MAX_PIXELS * 12 // 2**20
"""The process itself, and of each picture that is being decoded three copies of four bytes a pixel."""
PROGRAM = """
import json, resource, sys
from pathlib import Path
from captioner.batches.folder import BatchFolder
from captioner.pipeline.run import caption
from captioner.sources import items
from tests.captioner.conftest import ScriptedDescriber
describer = ScriptedDescriber()
tally = caption(items(sys.argv[1]), describer, BatchFolder.for_recipe(Path(sys.argv[2]), describer.recipe))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"inputs": tally.inputs, "failed": tally.failed, "described": tally.described, "peak_mb": peak}))
"""


def seeds() -> dict[str, bytes]:
    found, noise = {}, random.Random(SEED)
    for kind in KINDS:
        buffer = io.BytesIO()
        frames = [Image.frombytes("RGB", (64, 48), noise.randbytes(64 * 48 * 3)) for _ in range(2)]
        more = {"save_all": True, "append_images": frames[1:]} if kind in {"GIF", "TIFF", "WEBP"} else {}
        frames[0].save(buffer, kind, **more)
        found[kind] = buffer.getvalue()
    return found


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """Flipped, cut, repeated and overwritten; half the damage in the header, where sizes and offsets stand."""
    body = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(min(64, len(body)) if chance.random() < 0.5 else len(body))
        body[at : at + chance.choice((1, 2, 4))] = chance.choice((b"\xff" * 4, b"\x00" * 4, chance.randbytes(4)))
    if chance.random() < 0.3:
        del body[chance.randrange(len(body)) :]
    if chance.random() < 0.2:
        body += body[chance.randrange(len(body)) :] * 3 if body else b""
    return bytes(body)


@pytest.mark.http
def test_five_hundred_hostile_files(tmp_path: Path) -> None:
    chance, real = random.Random(SEED), seeds()
    (tmp_path / "in").mkdir()
    for n in range(FILES):
        kind = KINDS[n % len(KINDS)]
        (tmp_path / "in" / f"{n:03}.{kind.lower()}").write_bytes(spoiled(real[kind], chance))
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert (told["inputs"], told["failed"]) == (FILES, 0)
    assert told["described"] > 0
    assert told["peak_mb"] < PEAK_MB

"""Canary: after folder, zip and kill-and-resume, nothing of pixels, EXIF or redacted text is in any file."""

import io
import json
import os
import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from scenes.outcome import Described
from tests import command_server
from tests.captioner.scripted_server import scripted

pytestmark = [pytest.mark.cli, pytest.mark.postgres]

EXIF_TEXT, GPS_TEXT = b"CANARY-EXIF-7f3a", b"CANARY-GPS-91bc"
NAMES = ("Mary Johnson", "mary.johnson@example.com", "415-555-0132")
_PIXEL_RUN = 48


def canary(n: int) -> Image.Image:
    """Random pixels: any 48 bytes of them are unique to this image."""
    return Image.frombytes("RGB", (64, 64), random.Random(n).randbytes(64 * 64 * 3))


def jpeg(n: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = EXIF_TEXT.decode()
    exif.get_ifd(0x8825)[0x001D] = GPS_TEXT.decode()
    buffer = io.BytesIO()
    canary(n).save(buffer, "PNG" if n % 2 else "JPEG", exif=exif, quality=95)
    return buffer.getvalue()


SAID = {
    "summary": "Mary Johnson holds a sign.",
    "detail": "She says to write to mary.johnson@example.com or to call 415-555-0132.",
    "visible_text": ["MARY JOHNSON", "415-555-0132"],
    "objects": [{"name": "sign", "attributes": ["with Mary Johnson on it"]}],
}


@pytest.fixture
def server() -> Iterator[str]:
    with scripted(latency=0.1, says=json.dumps(SAID)) as url:
        yield url


def found_in(folder: Path, needles: list[bytes]) -> list[tuple[str, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(str(path), needle) for path in files for needle in needles if needle in path.read_bytes()]


def needles(images: list[bytes]) -> list[bytes]:
    raw = [canary(n).tobytes()[start : start + _PIXEL_RUN] for n in range(len(images)) for start in (0, 6_000)]
    files = [data[start : start + _PIXEL_RUN] for data in images for start in (len(data) // 2, len(data) // 3)]
    words = [word.encode() for name in NAMES for word in (name, name.upper())]
    return [EXIF_TEXT, GPS_TEXT, *raw, *files, *words]


def test_nothing_of_the_images_is_left(home: Path, server: str) -> None:
    images = [jpeg(n) for n in range(8)]
    source = home / "source"
    source.mkdir()
    for n, data in enumerate(images):
        (source / f"{n}.img").write_bytes(data)
    with zipfile.ZipFile(home / "images.zip", "w") as archive:
        for n, data in enumerate(images[:4]):
            archive.writestr(f"zipped-{n}.img", data + b"\0")
    data_folder, scratch = home / "data", home / "scratch"
    scratch.mkdir()
    environment = os.environ | {"WORDSIGHT_HOME": str(data_folder), "DATABASE_URL": "", "TMPDIR": str(scratch)}

    def program(*words: str) -> command_server.Captured:
        engine = ("--engine", "openai", "--model", "scripted", "--", "--base-url", server, "--concurrency", "2")
        return command_server.Captured([*words, "--json", *engine], environment)

    logs = []
    killed = program("caption", "run", str(source), "--out", str(data_folder / "out"))
    until = time.monotonic() + 60
    while not list(data_folder.glob("out/*/recipe.json")) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.5)  # the first images are described, the others are not
    killed.process.kill()
    done = killed.finish()
    logs += [done.stdout, done.stderr]
    for words in (
        ("caption", "run", str(source), "--out", str(data_folder / "out"), "--delete-source"),
        ("ingest", str(home / "images.zip"), "--collection", "c", "--keep-batches"),
    ):
        done = program(*words).finish(240)
        logs += [done.stdout, done.stderr]
        assert done.returncode == 0, done.stderr
    assert list(source.iterdir()) == []
    batches = BatchFolder.all_in(data_folder / "out")[0]
    described = [record.outcome for record in standing(batches) if isinstance(record.outcome, Described)]
    assert len(described) == 8
    assert all("[name]" in one.description.summary for one in described)
    assert not [needle for needle in needles(images) for log in logs if needle.decode("latin-1") in log]
    assert found_in(data_folder, needles(images)) == []
    assert found_in(home / "scratch", needles(images)) == []


def test_the_scan_would_see_a_leak(tmp_path: Path) -> None:
    images = [jpeg(n) for n in range(2)]
    (tmp_path / "leak").write_bytes(b"..." + images[1] + b"...")
    (tmp_path / "names").write_text("by mary.johnson@example.com")
    kinds = {needle for _, needle in found_in(tmp_path, needles(images))}
    assert EXIF_TEXT in kinds
    assert GPS_TEXT in kinds
    assert NAMES[1].encode() in kinds
    assert len(kinds) >= 4

"""A snapshot is believed only whole and signed, and a killed job leaves nothing behind."""

import asyncio
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from indexer.backup.file import opened
from indexer.backup.manifest import MANIFEST, SIGNATURE, Manifest, signed
from scenes.errors import BadInput, Corrupt, NotFound, WordsightError
from scenes.signing.signer import Signer
from tests.indexer.backup.installations import put_back, rows_of, spoken, take
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]


async def test_a_damaged_file_is_told_and_nothing_of_it_is_taken(world: World) -> None:
    path = await take(world)
    good = path.read_bytes()
    before = await rows_of(world.catalog)
    broken = world.home / "broken"
    codes = set()
    step = max(1, len(good) // 150)
    damages = [good[:cut] for cut in range(0, len(good) - 1, step)]
    damages += [good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :] for at in range(0, len(good), step)]
    intact = 0
    for data in damages:
        broken.write_bytes(data)
        try:
            with opened(broken) as archive:
                for part in archive.manifest.parts:
                    archive.rows(part)
            intact += 1  # a byte that no reader looks at, such as a time within the zip
        except Corrupt as error:
            codes.add(error.code)
    assert intact < len(damages) / 10
    assert codes == {"snapshot_unreadable", "snapshot_altered"}
    assert await rows_of(world.catalog) == before
    with pytest.raises(NotFound), opened(world.home / "nothing"):
        pass


def rewritten(path: Path, change: dict[str, object], signer: Signer, stray: bool = False) -> None:
    """The same parts under a changed manifest, signed anew."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    body = json.loads(members[MANIFEST]) | change
    manifest = Manifest.model_construct(**body)
    members[MANIFEST], members[SIGNATURE] = signed(manifest, signer)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in (members | ({"notes.txt": b"x"} if stray else {})).items():
            new.writestr(name, data)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_only_what_its_signer_signed_is_read(world: World, tmp_path: Path) -> None:
    path, own, other = await take(world), Signer.load(world.home), Signer.load(tmp_path)
    good = path.read_bytes()

    def told(change: dict[str, object], signer: Signer, stray: bool = False) -> WordsightError:
        path.write_bytes(good)
        rewritten(path, change, signer, stray)
        with pytest.raises(WordsightError) as error, opened(path):
            pass
        return error.value

    assert told({}, other).code == "snapshot_signature_wrong"
    assert told({}, own, stray=True).code == "snapshot_altered"
    newer = told({"version": 2}, own)
    assert (newer.code, isinstance(newer, BadInput)) == ("snapshot_version_unknown", True)
    assert told({"parts": []}, own).code == "snapshot_altered"
    assert told({"more": 1, "generation": "x"}, own).code == "snapshot_unreadable"
    path.write_bytes(good)
    rewritten(path, {"signed_by": other.public_key}, other)
    with opened(path) as archive:
        assert archive.manifest.signed_by == other.public_key != own.public_key


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from indexer.backup.file import opened
from indexer.backup.restore import restore
from indexer.backup.create import take
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from scenes.signing.signer import Signer

what, url, path, at = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])

def tick(done, total):
    if done >= at:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    catalog = Catalog.connect(url)
    if what == "take":
        await take(catalog, "c", path, Signer.load(path.parent), tick, images_a_part=2)
    else:
        with opened(path) as archive:
            await restore(catalog, archive, Collection(name="d"), tick=tick)

asyncio.run(main())
"""


@pytest.mark.parametrize("at", [1, 6])
async def test_killed_it_never_was_and_can_be_done_again(world: World, database_url: str, at: int) -> None:
    path = await take(world)
    good, before = path.read_bytes(), await rows_of(world.catalog)
    url = spoken(database_url)
    for what in ("take", "restore"):
        words = [sys.executable, "-c", KILLED, what, url, str(path), str(at)]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert path.read_bytes() == good
        assert await rows_of(world.catalog) == before
    assert (await put_back(world.catalog, path, "d")).images == 6

"""The spool: what goes in comes out, under its own key alone, whole or not at all, and no byte of it lies bare."""

import hashlib
import random
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.http.security import Secret
from app.uploads.spool import CHUNK_BYTES, Spool
from scenes.errors import Corrupt, EnvironmentMissing

SECRET = Secret(b"s" * 32)
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


async def stream(data: bytes, part: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), part):
        yield data[start : start + part]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", [7_001, CHUNK_BYTES, 10**6])
async def test_what_goes_in_comes_out(tmp_path: Path, size: int, part: int) -> None:
    data, spool, name = random.Random(size).randbytes(size), Spool(tmp_path / "spool", SECRET), uuid.uuid4()
    sealed = await spool.take(name, stream(data, part))
    assert (sealed.size, sealed.image_id) == (size, hashlib.sha256(data).hexdigest())
    assert spool.read(name, sealed.key) == data
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    bare = file.read_bytes()
    assert not [start for start in range(0, size - 16, 4_096) if data[start : start + 16] in bare]
    assert sealed.key not in bare
    spool.drop(name)
    spool.drop(name)
    assert list((tmp_path / "spool").iterdir()) == []


async def test_what_was_changed_cut_swapped_or_has_no_key_is_lost(tmp_path: Path) -> None:
    spool, one = Spool(tmp_path, SECRET), uuid.uuid4()
    data = random.Random(1).randbytes(3 * CHUNK_BYTES + 5)
    key = (await spool.take(one, stream(data, 50_000))).key
    path = tmp_path / f"{one}.sealed"
    whole, sealed = path.read_bytes(), CHUNK_BYTES + 16

    def lost(held: bytes | None = key, name: uuid.UUID = one) -> bool:
        with pytest.raises(Corrupt) as told:
            spool.read(name, held)
        return told.value.code == "upload_lost"

    assert lost(None)
    assert lost(b"x" * 32)
    for changed in (
        whole[:-1],
        whole[: 3 * sealed],
        whole[:sealed],
        b"",
        whole[sealed : 2 * sealed] + whole[:sealed] + whole[2 * sealed :],
        bytes([whole[0] ^ 1]) + whole[1:],
        whole + whole[:sealed],
    ):
        path.write_bytes(changed)
        assert lost()
    path.write_bytes(whole)
    assert spool.read(one, key) == data


async def test_a_wrapped_key_is_of_one_file_and_of_one_secret(tmp_path: Path) -> None:
    spool, one, two, data = Spool(tmp_path, SECRET), uuid.uuid4(), uuid.uuid4(), b"x" * 1_000
    wrapped = (await spool.take(one, stream(data, 100))).key
    (tmp_path / f"{two}.sealed").write_bytes((tmp_path / f"{one}.sealed").read_bytes())
    for other, name in ((spool, two), (Spool(tmp_path, Secret(b"t" * 32)), one)):
        with pytest.raises(EnvironmentMissing) as told:
            other.read(name, wrapped)
        assert (told.value.code, "WORDSIGHT_SECRET" in str(told.value.fix)) == ("upload_secret_differs", True)
    for part in (wrapped[:32], wrapped[8:]):
        with pytest.raises(Corrupt):
            spool.read(one, part)
    key = spool.key(one, wrapped)
    assert key not in {None, wrapped}
    assert spool.read(one, key) == data, "a key that an earlier version stored"
    with pytest.raises(Corrupt):
        spool.read(two, key)


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: [Secret.load(tmp_path / str(n // 8)).digest("x", "x"), n // 8], range(160)))
    assert len({digest for digest, _ in made}) == 20
    assert all(len(list((tmp_path / str(n)).iterdir())) == 1 for n in range(20))
    assert (tmp_path / "0" / "secret").stat().st_mode & 0o077 == 0


async def test_a_broken_stream_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK_BYTES * 2
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await Spool(tmp_path, SECRET).take(uuid.uuid4(), broken())
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - quick


async def test_old_files_are_told(tmp_path: Path) -> None:
    spool, name = Spool(tmp_path, SECRET), uuid.uuid4()
    await spool.take(name, stream(b"x", 1))
    assert spool.older_than(0) == [name]
    assert spool.older_than(60) == []

"""The spool: what goes in comes out, under its own key alone, whole or not at all, and no byte of it lies bare."""

import hashlib
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.uploads.spool import CHUNK_BYTES, Spool
from scenes.errors import Corrupt

SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


async def stream(data: bytes, part: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), part):
        yield data[start : start + part]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", [7_001, CHUNK_BYTES, 10**6])
async def test_what_goes_in_comes_out(tmp_path: Path, size: int, part: int) -> None:
    data, spool, name = random.Random(size).randbytes(size), Spool(tmp_path / "spool"), uuid.uuid4()
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
    spool, one, two = Spool(tmp_path), uuid.uuid4(), uuid.uuid4()
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
    assert lost(name=two)
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
    (tmp_path / f"{two}.sealed").write_bytes(whole)
    assert lost(name=two)
    path.write_bytes(whole)
    assert spool.read(one, key) == data


async def test_a_broken_stream_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK_BYTES * 2
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await Spool(tmp_path).take(uuid.uuid4(), broken())
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - quick


async def test_old_files_are_told(tmp_path: Path) -> None:
    spool, name = Spool(tmp_path), uuid.uuid4()
    await spool.take(name, stream(b"x", 1))
    assert spool.older_than(0) == [name]
    assert spool.older_than(60) == []

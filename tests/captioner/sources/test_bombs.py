"""Archives, tables and batches that would fill the memory, or never end, are refused before they do."""

import bz2
import gzip
import hashlib
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from captioner.batches.folder import BatchFolder
from captioner.sources import items
from captioner.sources.bounded import Bounded
from scenes.errors import BadInput, Corrupt
from tests.captioner.conftest import ScriptedDescriber, png

MB = 1_000_000


@contextmanager
def within(most: int) -> Iterator[None]:
    """Python's memory grows by no more than this meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def a_long_header(path: Path) -> None:
    """A member whose extended header alone is 300 MB."""
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 300 * MB
    with gzip.open(path, "wb", 1) as file:
        file.write(member.tobuf())
        for _ in range(300):
            file.write(bytes(MB))


def test_a_tar_with_an_endless_header_is_broken(tmp_path: Path) -> None:
    a_long_header(tmp_path / "a.tar.gz")
    assert (tmp_path / "a.tar.gz").stat().st_size < 2 * MB
    with within(30 * MB), pytest.raises(BadInput, match="header that is too large"):
        list(items(str(tmp_path / "a.tar.gz")))


def test_what_is_skipped_counts_too() -> None:
    """A side file that decompresses to thousands of times its size is not skipped for ever."""
    packed = io.BytesIO(bz2.compress(bytes(40 * MB)) * 5)
    with within(30 * MB), Bounded(packed, 50 * MB) as plain:
        assert plain.read(10) == bytes(10)
        with pytest.raises(OSError, match="more than 100 times"):
            plain.seek(190 * MB)
        with pytest.raises(OSError, match="forward only"):
            plain.seek(0)
    assert not packed.closed


def test_a_member_that_grows_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bomb.png", bytes(100 * MB), zipfile.ZIP_BZIP2)
        archive.writestr("large.png", bytes(50 * MB), zipfile.ZIP_DEFLATED)
        archive.writestr("good.png", png((1, 2, 3)), zipfile.ZIP_DEFLATED)
    bomb, large, good = items(str(tmp_path / "a.zip"))
    with within(30 * MB):
        with pytest.raises(OSError, match="within bounds"):
            bomb.read(MB)
        assert len(large.read(MB)) == MB + 1
    assert good.read(MB) == png((1, 2, 3))


def test_a_member_with_holes_is_no_image(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(bytes(512)))
    (item,) = items(str(tmp_path / "a.tar"))
    with pytest.raises(OSError, match="with holes"):
        item.read(MB)


def test_a_table_of_images_is_read_a_few_at_a_time(tmp_path: Path) -> None:
    once = pa.DictionaryArray.from_arrays(pa.array([0] * 12, pa.int32()), pa.array([bytes(60 * MB)]))
    pq.write_table(pa.table({"image": once}), tmp_path / "a.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "a.parquet").stat().st_size < MB
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        assert sum(item.held_bytes for item in items(str(tmp_path / "a.parquet"))) == 12 * 60 * MB
    finally:
        pa.set_memory_pool(usual)
    assert (pool.max_memory() or 0) < 500 * MB


def test_a_batch_from_another_machine_is_bounded(tmp_path: Path) -> None:
    folder = BatchFolder.for_recipe(tmp_path, ScriptedDescriber().recipe)
    once = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), pa.array(["x" * 4 * MB]))
    table = pa.table({"image_id": ["a"] * 1_000, "detail": once})
    buffer = io.BytesIO()
    facts = {"recipe": folder.folder.name, "rows": "1000"}
    with pq.ParquetWriter(buffer, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(facts)
    path = folder.folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.parquet"
    path.write_bytes(buffer.getvalue())
    with within(100 * MB), pytest.raises(Corrupt, match="rows hold more than"):
        folder.columns(path)
    assert len(folder.columns(path, ["image_id"])) == 1_000
    with pytest.raises(Corrupt, match="can't be read"):
        folder.read(path)

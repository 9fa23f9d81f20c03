"""A small snapshot that would fill the memory is refused before it does."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.backup.file import BOUNDS, MIB, opened
from indexer.backup.manifest import MANIFEST, SIGNATURE, Manifest, Part, signed
from indexer.backup.tables import from_parquet, to_parquet
from scenes.bounded_rows import Bounds
from scenes.collection import Collection
from scenes.errors import BadInput, Corrupt
from scenes.signing.signer import Signer

ROWS = 1_000
ROW = {"id": "a", "image_id": "b", "erased_at": "c"}


def stored_once() -> bytes:
    """A value of 1 MiB that is stored once and is in every row."""
    return _with(
        pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array(["x" * MIB])), store_schema=False
    )


def stored_often() -> bytes:
    """A value of 64 KiB that is stored in every row, compressed."""
    return _with(pa.array(["x" * (MIB // 16)] * ROWS), use_dictionary=False)


def _with(column: pa.Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    table = pa.table({"id": column, "image_id": ["b"] * ROWS, "erased_at": ["c"] * ROWS})
    pq.write_table(table, buffer, compression="zstd", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("bomb", [stored_once, stored_often])
def test_a_part_that_grows_is_refused_before_it_has_grown(bomb: Callable[[], bytes]) -> None:
    data = bomb()
    assert len(data) < MIB
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before, usual = pool.max_memory() or 0, pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(BadInput) as told:
            from_parquet("erasures", data, Bounds(ROWS, 32 * MIB))
    finally:
        pa.set_memory_pool(usual)
    assert told.value.code == "snapshot_too_large"
    assert "--max-part-mib" in str(told.value.fix)
    assert (pool.max_memory() or 0) - before < 16 * MIB


def test_what_repeats_within_bounds_is_read() -> None:
    rows = [ROW | {"id": str(n)} for n in range(ROWS)]
    assert from_parquet("erasures", to_parquet("erasures", rows), BOUNDS) == rows
    with pytest.raises(BadInput, match="more than 999"):
        from_parquet("erasures", to_parquet("erasures", rows), Bounds(999, BOUNDS.bytes))


def archive(path: Path, data: bytes, signer: Signer, **how: Any) -> Path:
    part = Part(
        name="erasures/000000.parquet",
        noun="erasures",
        rows=1,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    manifest = Manifest(
        collection=Collection(name="c"),
        origin="o",
        generation=1,
        taken_at="t",
        encoder=None,
        caption_recipes={},
        parts=(part,),
        signed_by=signer.public_key,
    )
    told, signature = signed(manifest, signer)
    with zipfile.ZipFile(path, "w", **how) as file:
        for name, content in {part.name: data, MANIFEST: told, SIGNATURE: signature}.items():
            file.writestr(name, content)
    return path


def test_nothing_is_read_before_the_signer_is_judged_and_sizes_are_checked(tmp_path: Path) -> None:
    signer, seen = Signer.load(tmp_path), list[str]()
    path = archive(tmp_path / "a", to_parquet("erasures", [ROW]), signer)
    with opened(path) as whole:
        assert whole.rows(whole.manifest.parts[0]) == [ROW]
    with pytest.raises(BadInput) as told, opened(path, bounds=Bounds(10, 100)):
        pass
    assert told.value.code == "snapshot_too_large"
    packed = archive(tmp_path / "b", to_parquet("erasures", [ROW]), signer, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(Corrupt), opened(packed):
        pass
    broken = archive(tmp_path / "c", b"no parquet", signer)
    broken.write_bytes(broken.read_bytes().replace(b"no parquet", b"NO PARQUET"))

    def judge(manifest: Manifest) -> None:
        seen.append(manifest.signed_by)
        raise BadInput("not_this_one", "")

    with pytest.raises(BadInput, match=r"^$"), opened(broken, judge):
        pass
    assert seen == [signer.public_key]

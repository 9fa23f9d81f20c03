"""Files and folders are whole or absent, whenever the process dies; what was altered since is told."""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes.artifact import MANIFEST, known_sha256, read_manifest, verify_folder, write_file, write_folder
from scenes.errors import Corrupt

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
STEPS = {"open", "write", "flush", "close", "fsync", "rename", "replace", "mkdir"}
KILLED = 9


def dies_at(step: int, work: Callable[[], object]) -> bool:
    """Run work in a child process that dies right before its `step`-th file operation; False if it ended."""
    child = os.fork()
    if child == 0:
        left = step

        def hook(_frame: object, event: str, called: object) -> None:
            nonlocal left
            if event == "c_call" and getattr(called, "__name__", "") in STEPS:
                left -= 1
                if left < 0:
                    os._exit(KILLED)

        sys.setprofile(hook)
        work()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def fill(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "vectors").write_bytes(b"\x00" * 5_000)
    (folder / "names").write_bytes(b"names")


def test_a_file_holds_the_old_or_the_new_bytes_whenever_the_writer_dies(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    step, seen = 0, []
    while dies_at(step, lambda: write_file(path, b"new" * 1_000)):
        seen.append(path.read_bytes())
        step += 1
    assert set(seen) == {b"old", b"new" * 1_000}
    assert step >= 3
    assert path.read_bytes() == b"new" * 1_000


def test_a_folder_is_whole_or_absent_whenever_the_writer_dies(tmp_path: Path) -> None:
    step, whole, folder = 0, [], tmp_path / "0"
    while dies_at(step, partial(write_folder, folder, "k", {"n": 1}, fill)):
        whole.append(folder.exists())
        if folder.exists():
            assert verify_folder(folder, "k").facts == {"n": 1}
        step += 1
        folder = tmp_path / str(step)
    assert step >= 8
    assert {True, False} == set(whole)
    assert verify_folder(folder, "k").bytes == {"deep/vectors": 5_000, "names": 5}


def test_a_filler_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        fill(folder)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_folder(tmp_path / "out", "k", {}, half)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_folder_is_never_overwritten(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", "k", {}, fill)
    with pytest.raises(FileExistsError):
        write_folder(tmp_path / "out", "k", {}, fill)
    verify_folder(tmp_path / "out", "k")


def truncate(folder: Path) -> None:
    os.truncate(folder / "deep" / "vectors", 4_999)


def flip_a_bit(folder: Path) -> None:
    (folder / "names").write_bytes(b"namet")


DAMAGE: list[Callable[[Path], object]] = [
    truncate,
    flip_a_bit,
    lambda folder: (folder / "names").unlink(),
    lambda folder: (folder / "stray").write_bytes(b""),
    lambda folder: (folder / MANIFEST).unlink(),
    lambda folder: os.truncate(folder / MANIFEST, 40),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    folder = tmp_path / "out"
    write_folder(folder, "k", {}, fill)
    damage(folder)
    with pytest.raises(Corrupt) as told:
        verify_folder(folder, "k")
    assert told.value.code == "artifact_corrupt"


def test_another_kind_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", "k", {}, fill)
    with pytest.raises(Corrupt, match="is a k, not a release"):
        read_manifest(tmp_path / "out", "release")


@settings(max_examples=25)
@given(files=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=64), max_size=4))
def test_any_files_verify(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("artifact") / "out"
    written = write_folder(folder, "k", {}, lambda into: [(into / name).write_bytes(files[name]) for name in files])
    assert verify_folder(folder, "k") == written
    assert set(written.sha256) == set(files)


def test_any_flipped_bit_of_a_manifest_is_told_or_harms_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_folder(folder, "k", {"fact": 1}, fill)
    whole = (folder / MANIFEST).read_bytes()
    told = 0
    for i in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[i // 8] ^= 1 << i % 8
        (folder / MANIFEST).write_bytes(bytes(damaged))
        try:
            assert set(verify_folder(folder, "k").sha256) == {"deep/vectors", "names"}
        except Corrupt:
            told += 1
    assert told > 4 * len(whole)


def test_a_file_is_read_once_for_its_digest_and_again_when_it_changes(tmp_path: Path) -> None:
    path, reads = tmp_path / "weights", 0
    path.write_bytes(b"one")

    def count(_frame: FrameType, event: str, called: object) -> None:
        nonlocal reads
        reads += event == "c_call" and getattr(called, "__name__", "") == "readinto"

    sys.setprofile(count)
    try:
        first = [known_sha256(path) for _ in range(3)]
        once = reads
        path.write_bytes(b"two")
        second = known_sha256(path)
    finally:
        sys.setprofile(None)
    assert first == [hashlib.sha256(b"one").hexdigest()] * 3
    assert second == hashlib.sha256(b"two").hexdigest()
    assert reads == 2 * once > 0

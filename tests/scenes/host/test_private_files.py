"""Nobody else reads what is written: whatever the umask, and also where an earlier version left it open."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenes.artifact import write_file, write_folder
from scenes.errors import BadInput, EnvironmentMissing
from scenes.host.private_files import make_folder, open_home, share


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {one.relative_to(folder).as_posix(): stat.S_IMODE(one.lstat().st_mode) for one in folder.rglob("*")}


def test_folders_and_files_are_the_users_alone(umask: int, tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    write_file(tmp_path / "c" / "d" / "file", b"x")

    def fill(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_bytes(b"x")  # as FAISS, NumPy and others write: by the umask

    write_folder(tmp_path / "artifact", "kind", {}, fill)
    found = modes(tmp_path)
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}
    assert len(found) == 9


def test_what_is_shared_has_the_modes_of_the_umask(umask: int, tmp_path: Path) -> None:
    write_file(tmp_path / "batches" / "file", b"x", shared=True)
    write_folder(tmp_path / "models" / "one", "kind", {}, lambda folder: None)
    share(tmp_path / "models")
    found = modes(tmp_path)
    assert {found[name] for name in ("batches", "models", "models/one")} == {0o777 & ~umask}
    assert {found[name] for name in ("batches/file", "models/one/manifest.json")} == {0o666 & ~umask}


def test_an_open_data_folder_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    (home / "releases" / "one").mkdir(parents=True)
    for file in (home / "releases" / "one" / "vectors", home / "secret", outside):
        file.write_bytes(b"x")
        file.chmod(0o666)
    (home / "program").write_bytes(b"x")
    (home / "program").chmod(0o755)
    (home / "releases" / "link").symlink_to(outside)
    home.chmod(0o777)
    open_home(home)
    found = modes(tmp_path)
    assert found.pop("outside") == 0o666
    assert found.pop("home/program") == 0o700
    assert found.pop("home/releases/link")
    assert found == {
        "home": 0o700,
        "home/releases": 0o700,
        "home/releases/one": 0o700,
        "home/releases/one/vectors": 0o600,
        "home/secret": 0o600,
    }


def test_a_folder_that_is_closed_already_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir(mode=0o700)
    (tmp_path / "releases" / "deep").touch(0o644)
    open_home(tmp_path)
    assert modes(tmp_path)["releases/deep"] == 0o644


def test_a_folder_that_others_use_too_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(BadInput) as refused:
        open_home(tmp_path)
    assert refused.value.code == "home_shared"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentMissing) as refused:
        open_home(tmp_path / "file" / "home")
    assert (refused.value.code, refused.value.exit_code) == ("home_unusable", 3)

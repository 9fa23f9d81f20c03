"""Every kind of source gives the same images; shards are disjoint and whole; broken archives are told."""

import http.server
import io
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.request import pathname2url

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from captioner.pipeline.run import caption
from captioner.sources import Shard, container, items
from scenes.errors import BadInput
from tests.captioner.conftest import ScriptedDescriber

pytestmark = [pytest.mark.http]
Outcomes = dict[str, tuple[str, str]]


def outcomes(source: str, out: Path) -> Outcomes:
    describer = ScriptedDescriber()
    folder = BatchFolder.for_recipe(out, describer.recipe)
    tally = caption(items(source), describer, folder)
    assert tally.inputs == 30
    found = [record.outcome for record in standing(folder)]
    return {
        one.image_id: (one.kind, getattr(one, "reason", ""))
        for one in found
        if one.usage.attempts or one.kind != "failed"
    }


@pytest.fixture
def server(thirty: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(thirty))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def as_zip(thirty: Path, to: Path, _: str) -> str:
    with zipfile.ZipFile(to / "a.zip", "w") as archive:
        for path in sorted(thirty.iterdir()):
            archive.writestr(f"in/{path.name}", path.read_bytes() if path.exists() else b"broken member")
    data = (to / "a.zip").read_bytes()
    (to / "a.zip").write_bytes(data.replace(b"broken member", b"BROKEN MEMBER", 1))
    return str(to / "a.zip")


def as_list(thirty: Path, to: Path, _: str) -> str:
    (to / "list.txt").write_text("# names\n\n" + "\n".join(str(path) for path in sorted(thirty.iterdir())))
    return str(to / "list.txt")


def as_urls(thirty: Path, to: Path, server: str) -> str:
    lines = [f"{server}/{pathname2url(path.name)}" for path in sorted(thirty.iterdir())]
    (to / "urls.txt").write_text("\n".join(lines))
    return str(to / "urls.txt")


def tarred(thirty: Path, file: Path, mode: str) -> str:
    """A WebDataset: each image with a side file of its key; the unreadable image is left out and named by a list."""
    with tarfile.open(file, mode) as tar:  # type: ignore[call-overload]
        for path in sorted(thirty.iterdir()):
            for name, data in ((path.name, path.read_bytes() if path.exists() else None), (f"{path.stem}.json", b"{}")):
                if data is not None:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    listing = file.with_suffix(".txt")
    listing.write_text(f"{file}\n{thirty / '29.png'}\n")
    return str(listing)


def as_tar(thirty: Path, to: Path, _: str) -> str:
    return tarred(thirty, to / "a.tar", "w")


def as_tar_gz(thirty: Path, to: Path, _: str) -> str:
    return tarred(thirty, to / "a.tar.gz", "w:gz")


def as_parquet(thirty: Path, to: Path, _: str, *, struct: bool = False) -> str:
    data = [path.read_bytes() for path in sorted(thirty.iterdir()) if path.exists()]
    column = pa.array([{"bytes": one, "path": None} for one in data] if struct else data)
    pq.write_table(pa.table({"label": list(range(len(data))), "image": column}), to / "a.parquet")
    (to / "list.txt").write_text(f"a.parquet\n{thirty / '29.png'}\n")
    return str(to / "list.txt")


def as_struct_parquet(thirty: Path, to: Path, server: str) -> str:
    return as_parquet(thirty, to, server, struct=True)


def as_memory(thirty: Path, to: Path, _: str) -> str:
    store = fsspec.filesystem("memory")
    for path in sorted(thirty.iterdir()):
        if path.exists():
            store.pipe(f"/{to.name}/{path.name}", path.read_bytes())
    (to / "list.txt").write_text(f"memory://{to.name}\n{thirty / '29.png'}\n")
    return str(to / "list.txt")


KINDS: list[Callable[[Path, Path, str], str]] = [
    lambda thirty, _to, _server: f"{thirty}/*.png",
    as_list,
    as_zip,
    as_urls,
    as_tar,
    as_tar_gz,
    as_parquet,
    as_struct_parquet,
    as_memory,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.removeprefix("as_"))
def test_every_kind_of_source_gives_the_same_images(
    kind: Callable[[Path, Path, str], str], thirty: Path, tmp_path: Path, server: str
) -> None:
    to = tmp_path / "as"
    to.mkdir()
    from_folder = outcomes(str(thirty), tmp_path / "one")
    assert len(from_folder) == 29
    assert outcomes(kind(thirty, to, server), tmp_path / "two") == from_folder


def test_shards_are_disjoint_and_whole(thirty: Path) -> None:
    parts = [[item.uri for item in Shard.parse(f"{i}/3").of(items(str(thirty)))] for i in (1, 2, 3)]
    assert sorted(uri for part in parts for uri in part) == sorted(item.uri for item in items(str(thirty)))
    assert all(parts)
    assert Shard.parse("0/3") == Shard.parse("3/3")


@given(st.text(max_size=8))
def test_any_text_is_a_shard_or_bad_input(text: str) -> None:
    try:
        shard = Shard.parse(text)
    except BadInput:
        return
    assert 0 <= shard.index < shard.count


def test_an_image_leads_back_to_its_container(thirty: Path, tmp_path: Path) -> None:
    for kind in (as_zip, as_tar, as_parquet):
        source = kind(thirty, tmp_path, "")
        first = next(items(source))
        again = {item.uri: item for item in items(container(first.uri))}
        assert again[first.uri].read(1_000_000) == first.read(1_000_000)


def test_a_broken_archive_is_told_after_what_could_be_read(thirty: Path, tmp_path: Path) -> None:
    tarred(thirty, tmp_path / "a.tar.gz", "w:gz")
    whole = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) * 3 // 4])
    (tmp_path / "no.zip").write_bytes(b"PK nothing")
    shutil.copy(tmp_path / "no.zip", tmp_path / "no.parquet")
    describer = ScriptedDescriber()
    folder = BatchFolder.for_recipe(tmp_path / "out", describer.recipe)
    with pytest.raises(BadInput, match="can't be read"):
        caption(items(str(tmp_path / "cut.tar.gz")), describer, folder)
    assert 0 < sum(1 for _ in standing(folder)) < 30
    for name in ("no.zip", "no.parquet"):
        with pytest.raises(BadInput, match="can't be read"):
            list(items(str(tmp_path / name)))

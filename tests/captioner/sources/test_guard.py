"""What a guard keeps from being read, whichever way leads there: redirects, lists, links, links that come later."""

import http.server
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from captioner.batches.folder import BatchFolder
from captioner.sources import Guard, Item, check, items
from captioner.sources.files import MAX_LINE_BYTES
from scenes.errors import BadInput, Corrupt, Forbidden
from tests.captioner.conftest import ScriptedDescriber, png

pytestmark = [pytest.mark.http]


@contextmanager
def serving(answer: Callable[[str], tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A web server; gives its address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def tried(found: Iterator[Item]) -> list[bytes | str]:
    """What each item reads, or why it does not."""
    read: list[bytes | str] = []
    for item in found:
        try:
            read.append(item.read(1_000_000))
        except OSError as error:
            read.append(str(error))
    return read


def test_no_name_leads_through_a_redirect(tmp_path: Path) -> None:
    image = png((1, 2, 3))
    with serving(lambda _path: (200, {}, image)) as (secret, reached):

        def answer(path: str) -> tuple[int, dict[str, str], bytes]:
            return (200, {}, image) if "plain" in path else (302, {"Location": f"{secret}/x.png"}, b"")

        with serving(answer) as (web, asked):
            guard = Guard([f"{web}/in", str(tmp_path)])
            names = (
                "redir.png",
                "redir.png#row=0",
                "redir.png?x#row=0",
                "redir.zip",
                "redir.parquet#row=3",
                "redir.tar",
            )
            urls = [f"{web}/in/{name}" for name in names]
            urls += [url.replace("http://", "HTTP://") for url in urls[:2]]
            for url in urls:
                assert tried(items(url, guard)) == ["the server answered 302"]
            (tmp_path / "list.txt").write_text("\n".join([*urls, f"{secret}/x.png#row=0", f"{web}/out/plain.png"]))
            told = tried(items(str(tmp_path / "list.txt"), guard))
            assert told[: len(urls)] == ["the server answered 302"] * len(urls)
            assert all("not below what jobs may read" in str(one) for one in told[len(urls) :])
            assert (len(asked), reached) == (2 * len(urls), [])
            assert tried(items(f"{web}/in/plain.png#row=0", guard)) == [image]
            assert tried(items(urls[0])) == [image], "the command line follows them"


def test_what_an_answer_decompresses_to_is_bounded() -> None:
    import gzip

    bomb, image = gzip.compress(bytes(50_000_000)), png((1, 2, 3))
    answers = {"/bomb": (200, {"Content-Encoding": "gzip"}, bomb), "/br": (200, {"Content-Encoding": "br"}, image)}
    fine = (200, {"Content-Encoding": "gzip"}, gzip.compress(image))
    with serving(lambda path: answers.get(path, fine)) as (web, _):
        (item,) = items(f"{web}/bomb")
        assert item.read(1_000_000) == bytes(1_000_001)
        assert tried(items(f"{web}/fine")) == [image]
        assert "encoding 'br'" in str(tried(items(f"{web}/br"))[0])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.png").write_bytes(png((1, 2, 3)))
    (folder / "inner.png").symlink_to(folder / "deep" / "a.png")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.png").write_bytes(b"secret")
    return folder


def test_links_are_followed_inside_only(photos: Path) -> None:
    (photos / "outer.png").symlink_to(photos.parent / "secret" / "a.png")
    (photos / "out").symlink_to(photos.parent / "secret")
    os.mkfifo(photos / "pipe")
    guard, image = Guard([str(photos)]), png((1, 2, 3))
    found = {item.uri.rsplit("/", 1)[1]: tried(iter([item]))[0] for item in items(str(photos), guard)}
    assert found.pop("a.png") == found.pop("inner.png") == image
    assert sorted(found) == ["outer.png", "pipe"]
    assert "not below" in str(found["outer.png"])
    assert "no plain file" in str(found["pipe"])
    for source in (photos / "out", photos / "out" / "a.png", photos / "out" / "*.png", photos / "outer.png"):
        with pytest.raises(Forbidden):
            check(str(source), guard)
        with pytest.raises(Forbidden):
            list(items(str(source), guard))
    through = f"{photos}/*/a.png"
    assert sorted(map(str, tried(items(through, guard)))) == sorted(
        [str(image), "[Errno 13] not below what jobs may read"]
    )


@pytest.mark.parametrize("swapped", ["deep", "deep/a.png"])
def test_a_link_that_is_put_there_after_the_check_is_not_followed(photos: Path, swapped: str) -> None:
    """The path is checked, then swapped, then opened: tried often, against a thread that swaps all the time."""
    guard, here, secret = Guard([str(photos)]), photos / swapped, photos.parent / "secret"
    link, spare, over = photos.parent / "link", photos.parent / "spare", threading.Event()
    link.symlink_to(secret if swapped == "deep" else secret / "a.png")

    def swap() -> None:
        while not over.is_set():
            here.rename(spare)
            link.rename(here)
            here.rename(link)
            spare.rename(here)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(3_000):
            try:
                with guard.open(photos / "deep" / "a.png") as file:
                    assert file.read() != b"secret"
            except OSError:
                continue
    finally:
        over.set()
        thread.join()


def test_archives_and_lists_outside_are_not_opened(photos: Path) -> None:
    secret = photos.parent / "secret"
    with zipfile.ZipFile(secret / "a.zip", "w") as archive:
        archive.write(secret / "a.png", "a.png")
    with tarfile.open(secret / "a.tar", "w") as tar:
        tar.add(secret / "a.png", "a.png")
    names = [
        secret / "a.zip",
        secret / "a.tar",
        f"file://{secret}/a.png",
        f"file://{secret}",
        photos / "deep" / "a.png",
    ]
    (photos / "list.txt").write_text("\n".join(map(str, names)))
    told = tried(items(str(photos / "list.txt"), Guard([str(photos)])))
    assert told[-1] == png((1, 2, 3))
    assert all("not below" in str(one) for one in told[:-1])
    (photos / "out.txt").symlink_to(secret / "list.txt")
    with pytest.raises(Forbidden):
        list(items(str(photos / "out.txt"), Guard([str(photos)])))


def test_links_in_archives_are_no_images(photos: Path) -> None:
    with tarfile.open(photos / "links.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo("etc.png")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    with pytest.raises(BadInput, match="holds no files"):
        list(items(str(photos / "links.tar")))


def test_what_a_store_lists_is_checked(photos: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/guarded/in/a.png", b"a")
    store.pipe("/guarded/in2/b.png", b"b")
    guard = Guard(["memory://guarded/in", str(photos)])
    assert tried(items("memory://guarded/in", guard)) == [b"a"]
    for source in ("memory://guarded", "memory://guarded/in?/b.png", "memory://guarded/in2/b.png"):
        with pytest.raises(Forbidden):
            list(items(source, guard))
    (photos / "list.txt").write_text("memory://guarded/in?/b.png\nreference://x\nmemory://guarded/in/*.png\n")
    told = tried(items(str(photos / "list.txt"), guard))
    assert [one for one in told if isinstance(one, bytes)] == [b"a"]


def test_batches_are_read_through_the_guard(photos: Path, tmp_path: Path) -> None:
    recipe = ScriptedDescriber().recipe
    elsewhere = BatchFolder.for_recipe(tmp_path / "secret", recipe)
    (photos / elsewhere.folder.name).symlink_to(elsewhere.folder)
    (folder,) = BatchFolder.all_in(photos, Guard([str(photos)]))
    with pytest.raises(Corrupt, match="not below"):
        _ = folder.recipe


def test_a_line_without_an_end_is_refused(photos: Path) -> None:
    (photos / "list.txt").write_bytes(b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(BadInput, match="a line of more than"):
        list(items(str(photos / "list.txt")))

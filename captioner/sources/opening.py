"""From the words of a user to the images they name."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

from captioner.sources import files
from captioner.sources.archives import TARS, tar_items, zip_items
from captioner.sources.guard import EVERYTHING, Guard
from captioner.sources.item import Item
from captioner.sources.web import web_item
from scenes.allowed.sources import is_web
from scenes.errors import BadInput

_LISTS = (".txt", ".list")
_GLOB = set("*?[")
_FIX = "name a folder, a file, a glob, a .txt list, a zip, tar or Parquet file, or a URL"
_FILE_URL = "file://"


def check(source: str, guard: Guard = EVERYTHING) -> None:
    """Is there such a source, and may it be read? Asked before an engine is loaded.

    Raises `BadInput` (`source_unknown`), `Forbidden` (`source_not_allowed`).
    """
    guard.check(source)
    if "://" not in source:
        _opened(source, guard)


def items(source: str, guard: Guard = EVERYTHING) -> Iterator[Item]:
    """The images of a source, one by one. What a list or a link leads to outside of `guard` can't be read.

    Raises `BadInput`: `source_unknown`, `source_empty`, `source_broken`, `image_column_missing`; `Forbidden`
    (`source_not_allowed`).
    """
    guard.check(source)
    found = _opened(source, guard)
    first = next(found, None)
    if first is None:
        raise BadInput("source_empty", f"{source!r} holds no files", fix=_FIX)
    yield from chain([first], found)


def _opened(source: str, guard: Guard) -> Iterator[Item]:
    if "://" in source:
        return _of_url(source, guard)
    path = Path(source)
    if path.is_dir():
        return (Item.of_file(one, guard) for one in files.walk(path, guard))
    if path.suffix in _LISTS and path.is_file():
        return chain.from_iterable(_named(line, guard) for line in files.lines(path, guard))
    if path.is_file() or path.is_symlink():
        return _of_file(path, guard)
    if _GLOB & set(source):
        return chain.from_iterable(_of_file(path, guard) for path in files.matches(source))
    raise BadInput("source_unknown", f"there is no {source!r}", fix=_FIX)


def _named(line: str, guard: Guard) -> Iterator[Item]:
    """What a line of a list names; a path that is not there is an item that can't be read, told in its outcome."""
    return _of_url(line, guard) if "://" in line else _of_file(Path(line), guard)


def _of_url(url: str, guard: Guard) -> Iterator[Item]:
    if url.startswith(_FILE_URL):
        return _of_file_url(url, guard)
    if not guard.permits_url(url):
        return iter([Item.not_allowed(url)])
    if is_web(url):
        return iter([web_item(url, guard)])
    from captioner.sources.remote import remote_items

    return remote_items(url, guard)


def _of_file_url(url: str, guard: Guard) -> Iterator[Item]:
    path = Path(unquote(urlsplit(url).path))
    if not guard.permits_path(path):
        return iter([Item.not_allowed(url)])
    if path.is_dir():
        return (Item.of_file(one, guard) for one in files.walk(path, guard))
    if _GLOB & set(str(path)) and not path.exists():
        return chain.from_iterable(_of_file(one, guard) for one in files.matches(str(path)))
    return _of_file(path, guard)


def _of_file(path: Path, guard: Guard) -> Iterator[Item]:
    uri = path.absolute().as_uri()
    if not guard.permits_path(path):
        return iter([Item.not_allowed(uri)])
    if not path.is_file():
        return iter([Item.of_file(path, guard)])
    open_ = partial(guard.open, path)
    if path.name.endswith(TARS):
        return tar_items(open_, uri, in_place=True)
    if path.suffix == ".zip":
        return zip_items(open_, uri)
    if path.suffix == ".parquet":
        from captioner.sources.tables import parquet_items

        return parquet_items(open_, uri)
    return iter([Item.of_file(path, guard)])

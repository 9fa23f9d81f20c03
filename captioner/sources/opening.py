"""From the words of a user to the images they name."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from captioner.sources import files
from captioner.sources.archives import TARS, tar_items, zip_items
from captioner.sources.item import Item
from captioner.sources.web import web_item
from scenes.errors import BadInput

_LISTS = (".txt", ".list")
_GLOB = set("*?[")
_FIX = "name a folder, a file, a glob, a .txt list, a zip, tar or Parquet file, or a URL"


def check(source: str) -> None:
    """Is there such a source? Asked before an engine is loaded. Raises `BadInput` (`source_unknown`)."""
    if "://" not in source:
        _opened(source)


def items(source: str) -> Iterator[Item]:
    """The images of a source, one by one.

    Raises `BadInput`: `source_unknown`, `source_empty`, `source_broken`, `image_column_missing`.
    """
    found = _opened(source)
    first = next(found, None)
    if first is None:
        raise BadInput("source_empty", f"{source!r} holds no files", fix=_FIX)
    yield from chain([first], found)


def _opened(source: str) -> Iterator[Item]:
    if "://" in source:
        return _of_url(source)
    path = Path(source)
    if path.is_dir():
        return map(Item.of_file, files.walk(path))
    if path.suffix in _LISTS and path.is_file():
        return chain.from_iterable(_named(line) for line in files.lines(path))
    if path.is_file() or path.is_symlink():
        return _of_file(path)
    if _GLOB & set(source):
        return chain.from_iterable(_of_file(path) for path in files.matches(source))
    raise BadInput("source_unknown", f"there is no {source!r}", fix=_FIX)


def _named(line: str) -> Iterator[Item]:
    """What a line of a list names; a path that is not there is an item that can't be read, told in its outcome."""
    return _of_url(line) if "://" in line else _of_file(Path(line))


def _of_url(url: str) -> Iterator[Item]:
    if url.startswith(("http://", "https://")):
        return iter([web_item(url)])
    from captioner.sources.remote import remote_items

    return remote_items(url)


def _of_file(path: Path) -> Iterator[Item]:
    uri = path.absolute().as_uri()
    if not path.is_file():
        return iter([Item.of_file(path)])
    if path.name.endswith(TARS):
        return tar_items(path, uri)
    if path.suffix == ".zip":
        return zip_items(path, uri)
    if path.suffix == ".parquet":
        from captioner.sources.tables import parquet_items

        return parquet_items(path, uri)
    return iter([Item.of_file(path)])

"""Sources that disappeared: images of a collection whose files are no longer in the source they were read from."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from captioner.batches.id_table import IdTable, hex_id
from captioner.images import decoding
from captioner.sources import check, items
from scenes.catalog import images
from scenes.catalog.connection import Catalog
from scenes.errors import BadInput
from scenes.identity import image_id

_PAGE = 1_000
_HERE = 1


async def disappeared(catalog: Catalog, collection_id: int, source: str) -> dict[str, tuple[str, ...]]:
    """Image id → URIs of the images that were read from the source and are in it no more.

    An image that is also known from elsewhere stays, and so does one whose bytes are in the source under another
    name. Raises what the source raises, so that a source that is not mounted makes nothing disappear, and `BadInput`
    (`gone_source`).
    """
    check(source)
    is_inside = inside(source)
    with closing(IdTable()) as present, closing(IdTable()) as known:
        for item in items(source):
            present.put(hex_id(item.uri), _HERE)
        found: dict[str, tuple[str, ...]] = {}
        after = 0
        while page := await _page(catalog, collection_id, after):
            for one in page:
                for uri in one.uris:
                    known.put(hex_id(uri), _HERE)
                if one.uris and not any(not is_inside(uri) or present.get(hex_id(uri)) for uri in one.uris):
                    found[one.image_id] = one.uris
            after = page[-1].row
        for twin in _unknown(source, known) if found else ():
            found.pop(twin, None)
    return found


def inside(source: str) -> Callable[[str], bool]:
    """Does a URI lie in the source? Raises `BadInput` (`gone_source`) for lists, globs and web pages."""
    path = Path(source)
    if "://" not in source and path.is_dir():
        return lambda uri: _outer(uri).startswith(f"{path.absolute().as_uri()}/")
    if "://" not in source and path.is_file() and path.suffix not in {".txt", ".list"}:
        return lambda uri: _outer(uri) == path.absolute().as_uri()
    if "://" in source and not source.startswith(("http://", "https://")) and not set("*?[") & set(source):
        return lambda uri: _outer(uri) == source or _outer(uri).startswith(f"{source.rstrip('/')}/")
    raise BadInput("gone_source", f"{source!r} has no bounds", fix="name a folder, an archive, a table or a bucket")


async def _page(catalog: Catalog, collection_id: int, after: int) -> list[images.ImageView]:
    async with catalog.reading() as session:
        return await images.page(session, collection_id, after=after, limit=_PAGE)


def _unknown(source: str, known: IdTable) -> Iterator[str]:
    """The ids of the images that are in the source under names that the collection does not know."""
    for item in items(source):
        if not known.get(hex_id(item.uri)):
            try:
                yield image_id(item.read(decoding.MAX_BYTES))
            except OSError:
                continue  # what can't be read is no twin of anything


def _outer(uri: str) -> str:
    """The file that an image lies in."""
    return uri.rsplit("::", 1)[-1].split("#row=", 1)[0]

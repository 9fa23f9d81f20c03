"""Anything that fsspec opens: buckets and other stores, one file, a glob, or all below a prefix."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import fsspec

from captioner.sources.archives import TARS, tar_items, zip_items
from captioner.sources.guard import Guard
from captioner.sources.item import Item, Read
from captioner.sources.naming import is_hidden
from captioner.sources.tables import parquet_items
from scenes.errors import BadInput

_GLOB = set("*?[")


def remote_items(url: str, guard: Guard) -> Iterator[Item]:
    """The images at or below a URL, archives opened. Raises `BadInput`: `source_unknown`, `source_broken`."""
    try:
        store, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise BadInput("source_unknown", f"{url} can't be opened: {error}", fix="install its fsspec plug-in") from error
    try:
        if _GLOB & set(path):
            for found in store.glob(path):
                yield from _one(store, str(found), guard)
        elif store.isdir(path):
            yield from _below(store, path, guard)
        elif store.exists(path):
            yield from _one(store, path, guard)
        else:
            raise BadInput("source_unknown", f"there is no {url}")
    except OSError as error:
        raise BadInput("source_broken", f"{url} can't be listed: {error}", fix="check its rights and name") from error


def _below(store: Any, path: str, guard: Guard) -> Iterator[Item]:
    for folder, _folders, files in store.walk(path):
        for name in sorted(files):
            if not is_hidden(name):
                found = f"{folder.rstrip('/')}/{name}"
                yield _of_store(store, found, guard)


def _one(store: Any, path: str, guard: Guard) -> Iterator[Item]:
    uri, open_ = store.unstrip_protocol(path), partial(store.open, path, "rb")
    if not guard.permits_url(uri):
        yield Item.not_allowed(uri)
    elif path.endswith(TARS):
        yield from tar_items(open_, uri, in_place=False)
    elif path.endswith(".zip"):
        yield from zip_items(open_, uri)
    elif path.endswith(".parquet"):
        yield from parquet_items(open_, uri)
    elif not store.isdir(path):
        yield _of_store(store, path, guard)


def _of_store(store: Any, path: str, guard: Guard) -> Item:
    uri = store.unstrip_protocol(path)
    return Item(uri, _read(store, path)) if guard.permits_url(uri) else Item.not_allowed(uri)


def _read(store: Any, path: str) -> Read:
    def read(limit_bytes: int) -> bytes:
        try:
            with store.open(path, "rb") as file:
                return bytes(file.read(limit_bytes + 1))
        except OSError:
            raise
        except Exception as error:  # a store's library raises its own kinds; each means: not read this time
            raise OSError(f"{type(error).__name__}: {error}") from error

    return read

"""Anything that fsspec opens: buckets and other stores, one file, a glob, or all below a prefix."""

from collections.abc import Iterator
from typing import Any

import fsspec

from captioner.sources.archives import TARS, streamed_tar_items, zip_items
from captioner.sources.item import Item, Read
from captioner.sources.naming import is_hidden
from captioner.sources.tables import parquet_items
from scenes.errors import BadInput

_GLOB = set("*?[")


def remote_items(url: str) -> Iterator[Item]:
    """The images at or below a URL, archives opened. Raises `BadInput`: `source_unknown`, `source_broken`."""
    try:
        store, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise BadInput("source_unknown", f"{url} can't be opened: {error}", fix="install its fsspec plug-in") from error
    try:
        if _GLOB & set(path):
            for found in store.glob(path):
                yield from _one(store, str(found))
        elif store.isdir(path):
            yield from _below(store, path)
        elif store.exists(path):
            yield from _one(store, path)
        else:
            raise BadInput("source_unknown", f"there is no {url}")
    except OSError as error:
        raise BadInput("source_broken", f"{url} can't be listed: {error}", fix="check its rights and name") from error


def _below(store: Any, path: str) -> Iterator[Item]:
    for folder, _folders, files in store.walk(path):
        for name in sorted(files):
            if not is_hidden(name):
                found = f"{folder.rstrip('/')}/{name}"
                yield Item(store.unstrip_protocol(found), _of_store(store, found))


def _one(store: Any, path: str) -> Iterator[Item]:
    uri = store.unstrip_protocol(path)
    if path.endswith(TARS):
        with store.open(path, "rb") as file:
            yield from streamed_tar_items(file, uri)
    elif path.endswith(".zip"):
        yield from zip_items(store.open(path, "rb"), uri)
    elif path.endswith(".parquet"):
        with store.open(path, "rb") as file:
            yield from parquet_items(file, uri)
    elif not store.isdir(path):
        yield Item(uri, _of_store(store, path))


def _of_store(store: Any, path: str) -> Read:
    def read(limit_bytes: int) -> bytes:
        try:
            with store.open(path, "rb") as file:
                return bytes(file.read(limit_bytes + 1))
        except OSError:
            raise
        except Exception as error:  # a store's library raises its own kinds; each means: not read this time
            raise OSError(f"{type(error).__name__}: {error}") from error

    return read

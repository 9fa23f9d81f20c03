"""Removing sources: a file goes only when the description of these very bytes is durable, and after a grace period."""

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable
from captioner.sources import Item
from scenes.artifact import file_sha256

_WAITING, _DUE = 1, 2


@dataclass
class Swept:
    """What became of a source's files: deleted, described but still in their grace period, or kept for good."""

    deleted: int = 0
    waiting: int = 0
    kept: int = 0


def sweep(items: Iterable[Item], batches: BatchFolder, grace: timedelta) -> Swept:
    """Delete the files whose bytes are described in a verified batch that is older than `grace`, twins included.

    Files of refused and failed images stay, and so do members of archives and what is not on this machine.
    Raises `Corrupt` (`batch_corrupt`) before anything is deleted.
    """
    swept = Swept()
    with closing(_described(batches, grace)) as described:
        for item in items:
            file = _own_file(item.uri)
            state = described.get(file_sha256(file)) if file is not None and file.is_file() else 0
            if file is not None and state == _DUE:
                file.unlink()
            swept.deleted += state == _DUE
            swept.waiting += state == _WAITING
            swept.kept += state == 0
    return swept


def _described(batches: BatchFolder, grace: timedelta) -> IdTable:
    table = IdTable()
    for path in batches.files():
        state = _DUE if time.time() - path.stat().st_mtime >= grace.total_seconds() else _WAITING
        for row in batches.columns(path, ["image_id", "outcome"]):
            if row["outcome"] == "described":
                table.raise_to(row["image_id"], state)
    return table


def _own_file(uri: str) -> Path | None:
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file://") and "#row=" not in uri else None

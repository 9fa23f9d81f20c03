"""Clones: one description on many images, the mark of an engine that stopped looking.

They are counted over a finished run, so that no outcome depends on the order of images, and retried on request.
"""

import hashlib

from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable
from captioner.batches.latest_records import standing
from captioner.batches.rows import Record
from captioner.images.near_duplicates import is_shared
from scenes.outcome import Described

FROM = 3
"""So many images with the very same description are clones."""
_MOST = 255


class Clones:
    """Which descriptions of a folder are said of several images."""

    def __init__(self, batches: BatchFolder) -> None:
        self._times = IdTable()
        for record in standing(batches):
            if isinstance(record.outcome, Described) and not is_shared(record.outcome):
                digest = _digest(record.outcome)
                self._times.put(digest, min(self._times.get(digest) + 1, _MOST))

    def has(self, record: Record) -> bool:
        """Is this record's description a clone?"""
        outcome = record.outcome
        return isinstance(outcome, Described) and not is_shared(outcome) and self._times.get(_digest(outcome)) >= FROM

    def close(self) -> None:
        """Free the table."""
        self._times.close()


def _digest(outcome: Described) -> str:
    return hashlib.sha256(outcome.description.model_dump_json(exclude_defaults=True).encode()).hexdigest()

"""Gathering outcomes into batches: a file when so many are there or some seconds have passed."""

import time

from captioner.batches.folder import BatchFolder
from captioner.batches.rows import Record

SECONDS_A_FILE = 10.0


class Writer:
    """Holds at most `records_a_file` records."""

    def __init__(self, folder: BatchFolder, records_a_file: int) -> None:
        self._folder, self._most = folder, records_a_file
        self._records: list[Record] = []
        self._since = time.monotonic()

    def add(self, record: Record) -> None:
        """Take one record. Raises what `BatchFolder.write` raises."""
        if not self._records:
            self._since = time.monotonic()
        self._records.append(record)
        if len(self._records) >= self._most:
            self.flush()

    def flush_if_due(self) -> None:
        """Write what has waited long enough."""
        if self._records and time.monotonic() - self._since > SECONDS_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Write what is there. Raises what `BatchFolder.write` raises."""
        if self._records:
            self._folder.write(self._records)
            self._records = []

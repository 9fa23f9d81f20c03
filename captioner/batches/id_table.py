"""A table from 32-byte ids to small numbers that lives in an unlinked file: memory stays flat, a kill leaves nothing.

Open addressing with linear probing over the first 16 bytes of an id (SHA-256, so evenly spread; 2⁻⁶⁴ odds of a
collision at 10⁹ ids). 17 bytes a slot, at most 60 % full; it doubles by copying.
"""

import hashlib
import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

_KEY = 16
_SLOT = _KEY + 1
_FULLEST = 0.6
_FIRST_SLOTS = 1 << 12


def hex_id(text: str) -> str:
    """The id of a text, such as a URI."""
    return hashlib.sha256(text.encode()).hexdigest()


class IdTable:
    """Numbers 1…255 by hex id; 0 means: not there. Safe to use from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._slots = _FIRST_SLOTS
        self._map = self._fresh(self._slots)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def get(self, hex_key: str) -> int:
        """The number of an id, 0 where it is not in the table."""
        key = bytes.fromhex(hex_key)[:_KEY]
        with self._lock:
            return self._map[self._find(self._map, self._slots, key) + _KEY]

    def put(self, hex_key: str, number: int) -> int:
        """Set the number of an id; returns the one it had, 0 for none."""
        key = bytes.fromhex(hex_key)[:_KEY]
        with self._lock:
            if self._used >= self._slots * _FULLEST:
                self._double()
            at = self._find(self._map, self._slots, key)
            before = self._map[at + _KEY]
            self._map[at : at + _SLOT] = key + bytes([number])
            self._used += before == 0
            return before

    def raise_to(self, hex_key: str, number: int) -> None:
        """Set the number of an id unless it has a higher one."""
        if self.get(hex_key) < number:
            self.put(hex_key, number)

    def counts(self) -> dict[int, int]:
        """How many ids have each number."""
        found: dict[int, int] = {}
        with self._lock:
            for slot in self._filled():
                found[slot[_KEY]] = found.get(slot[_KEY], 0) + 1
        return found

    def close(self) -> None:
        """Free the file."""
        self._map.close()

    def _fresh(self, slots: int) -> mmap.mmap:
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.truncate(slots * _SLOT)
            return mmap.mmap(file.fileno(), slots * _SLOT)

    @staticmethod
    def _find(table: mmap.mmap, slots: int, key: bytes) -> int:
        """The byte offset of a key's slot, or of the empty one where it belongs."""
        at = int.from_bytes(key[:8], "little") % slots
        while table[at * _SLOT + _KEY] and table[at * _SLOT : at * _SLOT + _KEY] != key:
            at = (at + 1) % slots
        return at * _SLOT

    def _filled(self) -> Iterator[bytes]:
        for at in range(0, self._slots * _SLOT, _SLOT):
            if self._map[at + _KEY]:
                yield self._map[at : at + _SLOT]

    def _double(self) -> None:
        slots = self._slots * 2
        larger = self._fresh(slots)
        for slot in self._filled():
            at = self._find(larger, slots, slot[:_KEY])
            larger[at : at + _SLOT] = slot
        self._map.close()
        self._map, self._slots = larger, slots

"""Splitting a source among workers by a hash of the URI: no coordinator, no overlap."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from captioner.sources.item import Item
from scenes.errors import BadInput


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`; 1/3, 2/3 and 3/3 are all of it (0/3 is another name of 3/3)."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read 'I/N'. Raises `BadInput` (`shard_invalid`)."""
        if text is None:
            return cls()
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and int(count) > 0 and int(index) <= int(count)):
            raise BadInput("shard_invalid", f"{text!r} is no shard", fix="--shard 1/4, 2/4, 3/4 and 4/4")
        return cls(int(index) % int(count), int(count))

    def holds(self, uri: str) -> bool:
        """Is this URI in the shard?"""
        return self.count == 1 or int(hashlib.sha256(uri.encode()).hexdigest()[:16], 16) % self.count == self.index

    def of(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items of the shard."""
        return (item for item in items if self.holds(item.uri))

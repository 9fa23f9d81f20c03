"""What was read is kept while there is room for it, the newest longest."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by name, of `most_bytes` together at most, by what `size` says of each."""

    def __init__(self, most_bytes: int, size: Callable[[V], int]) -> None:
        self._most_bytes = most_bytes
        self._size = size
        self._bytes = 0
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, name: K) -> V | None:
        """Safe in any thread."""
        return self._values.get(name)

    def put(self, name: K, value: V) -> None:
        """Keep a value, in place of the one before; what was put first makes room."""
        before = self._values.get(name)
        self._values[name] = value
        self._values.move_to_end(name)
        self._bytes += self._size(value) - (0 if before is None else self._size(before))
        while self._bytes > self._most_bytes and self._values:
            _, dropped = self._values.popitem(last=False)
            self._bytes -= self._size(dropped)

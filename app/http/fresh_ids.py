"""Random ids, drawn many at a time: asking the system for a few bytes lets go of the interpreter and waits for it."""

import os
from uuid import UUID

_BYTES = 16
_AT_ONCE = 256
_drawn = bytearray()


def fresh_id() -> UUID:
    """A random UUID (version 4). To be called from one thread."""
    if not _drawn:
        _drawn.extend(os.urandom(_BYTES * _AT_ONCE))
    taken = bytes(_drawn[-_BYTES:])
    del _drawn[-_BYTES:]
    return UUID(bytes=taken, version=4)


os.register_at_fork(after_in_child=_drawn.clear)

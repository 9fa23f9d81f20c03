"""How many requests are worked on at once, and how many bodies are awaited.

A request counts as worked on from its head to its answer, but not while the client is waited for: for more of its body,
or until it reads more of its answer. So a slow client never takes the place of another.
"""

from scenes.errors import Overloaded

STREAMS = "/events"
"""Streams bound their own number and time, and have no body."""
_BODIES_PER_PLACE = 2
_RETRY_S = 5.0


class Admission:
    """At most `most` requests are admitted while others are worked on; twice as many bodies are awaited."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0
        self._awaited = 0
        self._by_key: dict[str, int] = {}

    @property
    def is_full(self) -> bool:
        return self._inside >= self._most

    @property
    def awaited(self) -> int:
        """How many requests wait for more of their body."""
        return self._awaited

    def begin(self) -> None:
        """Work on a request begins, or goes on."""
        self._inside += 1

    def pause(self) -> None:
        """Work on a request ends, or waits for its client."""
        self._inside -= 1

    def await_body(self, key_id: str) -> None:
        """Stop counting a request that waits for its body. Raises `Overloaded` (`too_many_slow_bodies`).

        A key may have as many as there are places left, so that however many keys send slowly, the next one finds some
        (a dynamic threshold, as for shared buffers of switches: Choudhury and Hahne, 1998).
        """
        mine = self._by_key.get(key_id, 0)
        if mine + self._awaited >= _BODIES_PER_PLACE * self._most:
            raise Overloaded(
                "too_many_slow_bodies",
                "too many requests of this key have sent only a part of their body",
                retry_after_s=_RETRY_S,
                fix="send whole bodies at once, or fewer at the same time",
            )
        self._by_key[key_id] = mine + 1
        self._awaited += 1
        self._inside -= 1

    def body_came(self, key_id: str) -> None:
        """Count a request again: it was let in before, so it is never refused here."""
        self._inside += 1
        self._awaited -= 1
        left = self._by_key[key_id] - 1
        if left:
            self._by_key[key_id] = left
        else:
            del self._by_key[key_id]


def is_counted(path: str) -> bool:
    """Does a request with this path take a place while it is worked on?"""
    return not path.endswith(STREAMS)

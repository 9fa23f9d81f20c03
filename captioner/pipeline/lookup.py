"""Which images are finished elsewhere: the threads that read images share the questions about them."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

Known = Callable[[Sequence[str]], set[str]]
"""Which of these image ids are finished; every call may be a query of a database."""

_WAIT_S = 0.025


class SharedLookup:
    """Asks `known` for several images at a time. Safe to use from several threads.

    The first thread that has an image to ask for waits for others, until `most` of them wait or 25 ms have passed, and
    asks for all of them.
    """

    def __init__(self, known: Known, most: int) -> None:
        self._known, self._most = known, most
        self._changed = threading.Condition()
        self._waiting: list[tuple[str, Future[bool]]] = []

    def __call__(self, image_id: str) -> bool:
        """Is an image finished? Raises what `known` raises, in each thread that waits for its answer."""
        answer: Future[bool] = Future()
        with self._changed:
            self._waiting.append((image_id, answer))
            asks = len(self._waiting) == 1
            self._changed.notify()
            if asks:
                self._changed.wait_for(lambda: len(self._waiting) >= self._most, _WAIT_S)
                together, self._waiting = self._waiting, []
        if asks:
            self._ask(together)
        return answer.result()

    def _ask(self, together: Sequence[tuple[str, "Future[bool]"]]) -> None:
        try:
            found = self._known([image_id for image_id, _ in together])
        except BaseException as error:  # noqa: BLE001 - every thread that waits raises it
            for _, answer in together:
                answer.set_exception(error)
        else:
            for image_id, answer in together:
                answer.set_result(image_id in found)

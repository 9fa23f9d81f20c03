"""Something that runs beside us is looked after, and brought back where it was killed."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scenes.errors import WordsightError

LOOK_EVERY_S = 0.5
_log = logging.getLogger(__name__)


@contextmanager
def looked_after(lives: Callable[[], bool], revive: Callable[[], None]) -> Iterator[None]:
    """Until the block ends, a thread asks whether it `lives`, and does `revive` it, again and again, where not."""
    over = threading.Event()
    thread = threading.Thread(target=_look, args=(over, lives, revive), name="looking-after", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _look(over: threading.Event, lives: Callable[[], bool], revive: Callable[[], None]) -> None:
    while not over.wait(LOOK_EVERY_S):
        if lives():
            continue
        try:
            revive()
            _log.warning("what was killed runs again")
        except WordsightError as error:
            _log.warning("%s", error)

"""How a command is stopped: Ctrl-C, SIGTERM and SIGHUP all end it in order.

The first signal interrupts the command once. Every block is then left as after an error, so that the embedded Postgres
is stopped and temporary files are removed. More signals change nothing: they would interrupt exactly that.
"""

import asyncio
import faulthandler
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from app.cli import output
from scenes.host import signals

LONGEST_S = 14.5
"""A command that was stopped and still runs after so long is ended without order."""
_BLOCKED_S = 2.0
"""An event loop that did not cancel its work for so long is held up by it; the work is interrupted then."""
_THREADS_S = 3.0
"""How long a stopped command waits for its threads, which can't be interrupted."""
_THREADS = "command"
_T = TypeVar("_T")


class _Stop:
    """Whether this process was stopped, and when. Signals belong to the process, so there is one of it."""

    def __init__(self) -> None:
        self.at: float | None = None
        self._count = itertools.count()
        self._late, self._alarm = os.pipe()
        threading.Thread(target=self._end_late, name="stopping", daemon=True).start()

    def begin(self) -> bool:
        """A stop signal arrived; returns whether it is the first. Takes no lock: signal handlers call it."""
        if next(self._count):
            return False
        self.at = time.monotonic()
        os.write(self._alarm, b"!")
        return True

    def _end_late(self) -> None:
        os.read(self._late, 1)
        time.sleep(_BLOCKED_S)
        for one in signals.heeded()[:1]:
            os.kill(os.getpid(), one)  # heard by work that holds up its event loop, ignored by all else
        time.sleep(LONGEST_S - _BLOCKED_S)
        output.say(f"did not stop within {LONGEST_S:g} s and is ended now")
        faulthandler.dump_traceback()
        os._exit(output.INTERRUPTED)


_stop: _Stop | None = None


@contextmanager
def stoppable() -> Iterator[None]:
    """Around a whole command: the first stop signal raises `KeyboardInterrupt`, and the following ones do nothing."""
    global _stop  # noqa: PLW0603 - signal handlers are the process's, too
    _stop = _Stop()
    for one in signals.heeded():
        signal.signal(one, _interrupt)
    yield


def begin() -> bool:
    """What handles a stop signal in another way calls this first; returns whether it is the first signal.

    From now on the command has `LONGEST_S` to end.
    """
    return _stop is None or _stop.begin()


def stopped_at() -> float | None:
    """When the first stop signal arrived, in monotonic seconds."""
    return None if _stop is None else _stop.at


def run(work: Coroutine[Any, Any, _T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> _T:
    """`asyncio.run`, where the first stop signal cancels the work.

    Raises `KeyboardInterrupt` where the work was stopped. Threads of a stopped work are waited for a few seconds.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(_cancellable(work))
        except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:
            if stopped_at() is not None:  # what fails after a stop fails because of it
                raise KeyboardInterrupt from error
            raise
        finally:
            if stopped_at() is not None:
                runner.get_loop().set_default_executor(ThreadPoolExecutor(1))  # those of the work are not waited for
                _wait_for_threads()


def leave(code: int) -> None:
    """End the process. A stopped one is not held up by threads that still work."""
    if stopped_at() is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


async def _cancellable(work: Coroutine[Any, Any, _T]) -> _T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - this coroutine runs in one
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix=_THREADS))

    interrupted = False

    def cancel() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = task.cancel()

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if begin():
            loop.call_soon_threadsafe(cancel)
        elif not interrupted and time.monotonic() - (stopped_at() or 0.0) >= _BLOCKED_S:
            interrupted = True
            raise KeyboardInterrupt

    before = {one: signal.signal(one, stop) for one in signals.heeded()}
    try:
        return await work
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    if begin():
        raise KeyboardInterrupt


def _wait_for_threads() -> None:
    until = time.monotonic() + _THREADS_S
    for thread in threading.enumerate():
        if thread.name.startswith(_THREADS):
            thread.join(max(0.0, until - time.monotonic()))

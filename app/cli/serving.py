"""uvicorn, stopped in our way: SIGINT, SIGTERM and SIGHUP end it alike; at once while it starts, else in order."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from app.cli import stopping
from app.http.server.parent_process import follow_parent
from scenes.host import signals

GRACE_S = 8
"""Requests in flight when the server is stopped have so long to be answered."""
_ENDED_WITHIN_S = 11.5
"""A server process that still runs so long after the stop is killed: its grace, and the time to write what it holds."""
_AT_LEAST_S = 1.0
_log = logging.getLogger("uvicorn.error")


def serve(config: uvicorn.Config) -> bool:
    """Serve until a stop signal; returns False where the server could not start."""
    if config.workers > 1:
        supervisor = Supervisor(config, [config.bind_socket()])
        supervisor.run()
        return stopping.stopped_at() is not None
    server = OneProcess(config)
    stopping.run(server.serve(), config.get_loop_factory())
    return server.started


class ServerConfig(uvicorn.Config):
    """What each server process loads first, so that it ends with its parent."""

    def load(self) -> None:
        follow_parent()
        super().load()


class OneProcess(uvicorn.Server):
    """A server that does not start to the end where it is stopped meanwhile."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While the server starts, a stop signal is what it was before; then it lets requests in flight be answered."""
        before = {int(one): signal.getsignal(one) for one in signals.heeded()}

        def stop(number: int, frame: FrameType | None) -> None:
            if self.started:
                stopping.begin()
                self.handle_exit(signal.SIGTERM, frame)
            elif callable(handler := before[number]):
                _log.setLevel(logging.CRITICAL)  # a start that was stopped has not failed
                handler(number, frame)

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Supervisor(Multiprocess):
    """The first of several server processes: starts the others, replaces those that die, and ends them in time."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        heeded = signals.heeded()
        super().__init__(config, sockets)
        for one in signals.STOP_SIGNALS:
            signal.signal(one, self._stop if one in heeded else signal.SIG_IGN)

    def join_all(self) -> None:
        """Wait for the processes, and kill those that hang."""
        now = time.monotonic()
        until = max(now + _AT_LEAST_S, (stopping.stopped_at() or now) + _ENDED_WITHIN_S)
        for process in self.processes:
            process.process.join(max(0.0, until - time.monotonic()))
            if process.process.is_alive():
                process.process.kill()
                process.process.join()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        stopping.begin()
        self.config.timeout_worker_healthcheck = 0  # a process that hangs is waited for no longer
        self.signal_queue.append(signal.SIGTERM)

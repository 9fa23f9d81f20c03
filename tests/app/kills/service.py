"""The service as it runs: `wordsight serve` with its embedded Postgres, and ways to kill its parts."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

_LONGEST_S = 120.0


@dataclass(frozen=True)
class Service:
    """A running server: its address, the data folder of its embedded Postgres, its first process and how many more."""

    url: str
    home: Path
    pid: int
    processes: int

    @property
    def database_url(self) -> str:
        """Its embedded Postgres."""
        return f"postgresql://postgres@/postgres?host={self.home / 'postgres'}"

    def kill_postgres(self) -> float:
        """SIGKILL; returns the seconds until searches would be answered again."""
        old = self._postmaster()
        os.kill(old, signal.SIGKILL)
        started = time.monotonic()
        _until(lambda: self._postmaster() not in {0, old} and self.is_ready())
        return time.monotonic() - started

    def kill_process(self, chance: random.Random) -> float:
        """SIGKILL of one server process; returns the seconds until another one has taken its place and answers."""
        before = self.children()
        victim = chance.choice(sorted(before))
        os.kill(victim, signal.SIGKILL)
        started = time.monotonic()
        _until(lambda: len(self.children() - {victim}) == self.processes and self.is_ready())
        return time.monotonic() - started

    def children(self) -> set[int]:
        """The server processes."""
        named = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(one) for one in named if b"spawn_main" in _command(int(one))}

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def _postmaster(self) -> int:
        try:
            return int((self.home / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return 0


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not true():
        assert time.monotonic() < end, "the service did not come back"
        time.sleep(0.05)

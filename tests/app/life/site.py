"""A server and a worker with one data folder, as they run in earnest, and ways to stop and to kill their processes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

IN_TIME_S = 15.0
_LONGEST_S = 120.0
_PROGRAM = str(Path(sys.executable).with_name("wordsight"))
_SAID = {"server": "ready; open", "worker": "the worker runs"}
_WHEEL = ".lockfile"
"""The embedded Postgres of the wheel keeps one in the temporary folder."""


@dataclass
class Site:
    """`processes` is how many server processes there are; `scratch` is the temporary folder of all."""

    home: Path
    scratch: Path
    logs: Path
    port: int
    engine: str
    processes: int = 2
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return plain | {
            "WORDSIGHT_HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "WORDSIGHT_ENGINE_OPTIONS": f"--base-url {self.engine} --concurrency 2",
            "WORDSIGHT_WORKER_LOST_AFTER": "5",
            "WORDSIGHT_JOBS_PER_KEY": "10000",
        }

    def start(self, who: str) -> None:
        """Start the server or the worker, and wait until it works."""
        server = ("serve", "--port", str(self.port), "--workers", str(self.processes))
        log = self.logs / f"{who}.log"
        with log.open("wb") as file:
            words = [_PROGRAM, *(server if who == "server" else ("worker", "--every", "2"))]
            self.running[who] = subprocess.Popen(words, env=self.environment, stderr=file, start_new_session=True)
        until(lambda: _SAID[who].encode() in log.read_bytes() or self.running[who].poll() is not None)
        assert self.running[who].poll() is None, log.read_text()
        if who == "server":
            until(self.is_whole)

    def stop(self, who: str, number: signal.Signals) -> float:
        """Send a signal to the first process; returns the seconds until it ended, in order and in time."""
        process = self.running.pop(who)
        started = time.monotonic()
        process.send_signal(number)
        code = process.wait(_LONGEST_S)
        seconds = time.monotonic() - started
        log = (self.logs / f"{who}.log").read_text()
        assert code == 0, f"exit code {code} after {number.name}: {log}"
        assert seconds < IN_TIME_S, f"{seconds:.1f} s after {number.name}: {log}"
        self.check_left()
        return seconds

    def kill(self, who: str) -> None:
        """SIGKILL of the first process; what it started must end by itself, but for Postgres."""
        process = self.running.pop(who)
        process.kill()
        process.wait()
        until(lambda: not self.strays(), IN_TIME_S)

    def check_left(self) -> None:
        """Nothing is there of what was stopped; the last one stopped Postgres, too."""
        until(lambda: not self.strays(), 1.0, lambda: f"processes are left: {self.strays()}")
        if not self.running:
            until(lambda: not self.all(), 1.0, lambda: f"processes are left: {self.all()}")
            left = [path.name for path in self.scratch.iterdir() if path.name != _WHEEL]
            assert not left, f"temporary files are left: {left}"

    def strays(self) -> dict[int, str]:
        """The processes of this data folder that are neither running parts with their children nor Postgres."""
        ours = {process.pid for process in self.running.values()}
        ours |= {child for pid in ours for child in _children(pid)}
        ours |= {pid for known in ours for pid in _children(known)}
        return {pid: words for pid, words in self.all().items() if pid not in ours and not words.startswith("postgres")}

    def all(self) -> dict[int, str]:
        """All processes of this data folder, by number, and what they are; those that wait to be reaped are gone."""
        mark, name = str(self.home).encode(), f"WORDSIGHT_HOME={self.home}\0".encode()
        found = {}
        for path in Path("/proc").iterdir():
            if path.name.isdecimal() and (words := _words(path)) is not None:
                is_postgres = mark in words and b"postgres" in words.split(b"\0")[0]
                if is_postgres or _cwd_is_below(path, self.home):
                    found[int(path.name)] = f"postgres {words!r}"
                elif name in _read(path / "environ"):
                    found[int(path.name)] = words.decode()
        return found

    def server_processes(self) -> set[int]:
        """Those that answer, not the one that started them."""
        pid = self.running["server"].pid
        return {child for child in _children(pid) if b"spawn_main" in _read(Path(f"/proc/{child}/cmdline"))}

    def kill_server_process(self, chance: random.Random) -> None:
        """SIGKILL of one; another one takes its place."""
        victim = chance.choice(sorted(self.server_processes()))
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in self.server_processes())
        until(self.is_whole)

    def kill_postmaster(self) -> None:
        """SIGKILL; it is started again."""
        old = self.postmaster()
        os.kill(old, signal.SIGKILL)
        until(lambda: self.postmaster() not in {0, old})
        until(self.is_whole)

    def kill_backend(self, chance: random.Random) -> None:
        """SIGKILL of a process that answers a client; Postgres ends all and recovers."""
        clients = [pid for pid in _children(self.postmaster()) if b"postgres postgres" in _read_command(pid)]
        if clients:
            os.kill(chance.choice(sorted(clients)), signal.SIGKILL)
        until(self.is_whole)

    def postmaster(self) -> int:
        try:
            return int((self.home / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return 0

    def is_whole(self) -> bool:
        """All server processes are there, and one answers that it is ready."""
        if len(self.server_processes()) != self.processes and self.processes > 1:
            return False
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False


@contextmanager
def opened(site: Site) -> Iterator[Site]:
    """The site until the block ends; what still runs then is killed."""
    try:
        yield site
    finally:
        for process in site.running.values():
            process.kill()
            process.wait()
        for pid in site.all():
            os.kill(pid, signal.SIGKILL)


def until(true: Callable[[], bool], longest_s: float = _LONGEST_S, why: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + longest_s
    while not true():
        assert time.monotonic() < end, why() or "the service did not come back"
        time.sleep(0.05)


def _children(pid: int) -> set[int]:
    found = _read(Path(f"/proc/{pid}/task/{pid}/children")).split()
    return {int(one) for one in found}


def _words(process: Path) -> bytes | None:
    """The command line; None of a process that is no more, or waits to be reaped."""
    state = _read(process / "stat").rpartition(b")")[2].split()
    return None if not state or state[0] == b"Z" else _read(process / "cmdline")


def _read_command(pid: int) -> bytes:
    return _read(Path(f"/proc/{pid}/cmdline"))


def _cwd_is_below(process: Path, folder: Path) -> bool:
    """Postgres' own processes work in its data folder."""
    try:
        return folder in (process / "cwd").readlink().parents
    except OSError:
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

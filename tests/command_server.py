"""Runs the command without its start-up: one process imports what commands import, then forks for each command.

Each command is a process of its own, with its own arguments, environment, working folder, umask, standard streams,
signals and exit code; it runs `app.cli.main` as the installed program does. Only the imports, several seconds of CPU
time a command, are done once for all. What is about the start itself runs the installed program instead: `PROGRAM`.

`open_server` starts the server, `start` and `run` are for tests, `write_program` makes an executable for shell scripts.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

PROGRAM = str(Path(sys.executable).with_name("wordsight"))
"""The installed command."""

_ROOT = Path(__file__).resolve().parent.parent
_ADDRESS = "WORDSIGHT_TEST_COMMAND_SERVER"
"""The environment variable that names the server's socket; pytest-xdist's workers inherit it."""
_PACKAGES = ("scenes", "indexer", "captioner", "app")
_VENDORS = (
    "cv2",
    "faiss",
    "openvino",
    "presidio_analyzer",
    "sentence_transformers",
    "spacy",
    "torch",
    "uvicorn",
)
_TELEMETRY = ("openvino_telemetry",)
"""The product keeps these from being imported."""
_LONGEST_REQUEST = 1 << 20
_STOP_S = 30.0


class Started:
    """A command that runs, used like a `subprocess.Popen`."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self.pid = connection, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while the command runs."""
        with contextlib.suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once the command has ended; minus the signal that killed it. Raises `TimeoutError`."""
        if self.returncode is None:
            self._connection.settimeout(timeout or 1e-6 if timeout is not None else None)
            self.returncode = int(self._connection.recv(16) or b"-9")
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def open_server() -> Iterator[None]:
    """A command server for this process and all that it starts; it imports nothing before the first command."""
    with tempfile.TemporaryDirectory(prefix="wordsight-commands-") as folder:
        address = str(Path(folder) / "socket")
        words = [sys.executable, "-m", "tests.command_server", address]
        environment = os.environ | {"PYTHONPATH": str(_ROOT), "TORCHINDUCTOR_CACHE_DIR": str(Path(folder) / "torch")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        with (
            Path(f"{address}.log").open("wb") as log,
            subprocess.Popen(words, cwd=_ROOT, env=environment, stderr=log, **pipes),  # ends when its input is closed
        ):
            os.environ[_ADDRESS] = address
            try:
                yield
            finally:
                del os.environ[_ADDRESS]


def start(
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: int | IO[Any] = subprocess.DEVNULL,
    stderr: int | IO[Any] = subprocess.DEVNULL,
    umask: int | None = None,
) -> "Started | subprocess.Popen[bytes]":
    """Start `wordsight` with these words, in a process of its own.

    `stdout` and `stderr` are files that are open for writing, or `DEVNULL`. Without a server, as in the benchmarks, the
    installed program is started.
    """
    if _ADDRESS not in os.environ:
        return subprocess.Popen([PROGRAM, *words], env=dict(environment), stdout=stdout, stderr=stderr)
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        files = [nothing.fileno(), *(_number(one, nothing) for one in (stdout, stderr))]
        request = {
            "words": list(words),
            "environment": dict(environment),
            "cwd": str(Path.cwd()),
            "umask": _umask() if umask is None else umask,
        }
        return _ask(os.environ[_ADDRESS], request, files)


class Captured:
    """A command that runs; all that it prints is kept."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], *, umask: int | None = None) -> None:
        self._words = list(words)
        self._files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115 - `finish` closes them
        self.process = start(words, environment, stdout=self._files[0], stderr=self._files[1], umask=umask)

    def finish(self, timeout: float = 180) -> "subprocess.CompletedProcess[str]":
        """Wait for its end. What takes longer is killed and raises an error."""
        try:
            code = self.process.wait(timeout)
        finally:
            self.process.kill()
            said = [_whole(file) for file in self._files]
        return subprocess.CompletedProcess(self._words, code, *said)


def run(
    words: Sequence[str], environment: Mapping[str, str], *, timeout: float = 180, umask: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """As `subprocess.run` with captured text."""
    return Captured(words, environment, umask=umask).finish(timeout)


def write_program(path: Path) -> Path:
    """An executable that does what the installed command does, by the command server."""
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} "$@"\n')
    path.chmod(0o755)
    return path


def _number(file: int | IO[Any], nothing: IO[Any]) -> int:
    if isinstance(file, int):
        return nothing.fileno() if file == subprocess.DEVNULL else file
    return file.fileno()


def _whole(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now


def _ask(address: str, request: dict[str, Any], files: list[int]) -> Started:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST_REQUEST)
    until = time.monotonic() + _STOP_S
    while True:
        try:
            connection.connect(address)
            break
        except (FileNotFoundError, ConnectionRefusedError):  # the server is about to listen
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    socket.send_fds(connection, [json.dumps(request).encode()], files)
    pid = connection.recv(16)
    if not pid:
        raise RuntimeError(f"the command server ended: {Path(address + '.log').read_text()}")
    return Started(connection, int(pid))


class _Server:
    """Takes requests and reports exit codes; ends when its standard input is closed."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen(64)
        self._running: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._watch(0, self._end)
        self._watch(woken, lambda: self._report(woken))
        self._watch(self._listener, self._take)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _watch(self, file: Any, act: Callable[[], None]) -> None:
        self._selector.register(file, selectors.EVENT_READ, act)

    def _end(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)

    def _report(self, woken: int) -> None:
        os.read(woken, 4_096)
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid not in self._running:
                continue
            with contextlib.suppress(OSError), self._running.pop(pid) as connection:
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _take(self) -> None:
        connection, _ = self._listener.accept()
        data, files, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, 3)
        if not data:
            connection.close()
            return
        _import_all()
        pid = os.fork()
        if pid == 0:
            self._selector.close()
            self._listener.close()
            for other in (connection, *self._running.values()):
                other.close()
            _become(json.loads(data), files)
        for file in files:
            os.close(file)
        self._running[pid] = connection
        with contextlib.suppress(OSError):
            connection.send(str(pid).encode())


_imported = False


def _import_all() -> None:
    """Everything that a command may import, once. What is not installed here is left out."""
    global _imported  # noqa: PLW0603 - modules belong to the process, too
    if _imported:
        return
    _imported = True
    for name in _TELEMETRY:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    for name in _VENDORS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for package in map(importlib.import_module, _PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                with contextlib.suppress(ImportError):
                    importlib.import_module(found.name)
    gc.collect()
    gc.freeze()


def _become(request: dict[str, Any], files: list[int]) -> None:
    """In the fork: be the command, and end as it does."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ |= request["environment"]
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    sys.argv = [PROGRAM, *request["words"]]
    from app.cli import main

    _leave(main)


def _leave(main: Callable[[], None]) -> NoReturn:
    """End as the interpreter does, but for taking a thousand modules apart."""
    code = 1
    try:
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - the interpreter, too, prints whatever it is
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stand_in() -> int:
    """The executable of `write_program`: passes on what it is given, signals too, and ends as the command does."""
    request = {"words": sys.argv[1:], "environment": dict(os.environ), "cwd": str(Path.cwd()), "umask": _umask()}
    process = _ask(os.environ[_ADDRESS], request, [0, 1, 2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: process.send_signal(number))
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if __spec__ is None:
        sys.exit(_stand_in())
    _Server(sys.argv[1]).serve()

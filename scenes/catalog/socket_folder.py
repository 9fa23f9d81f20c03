"""The folder of the embedded server's Unix socket: always closed to everyone but the server and us.

It is the server's data folder. Where that path is too long for a socket, it is a folder with a random name in the temp
folder; a file in the data folder of wordsight remembers it, so that a server that is restarted is found again.
"""

import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from scenes.artifact import write_file
from scenes.catalog.account import NOT_PRIVATE, Account
from scenes.errors import EnvironmentMissing

_MOST_BYTES = 107 if sys.platform == "linux" else 103
_SOCKET = ".s.PGSQL.5432"
_PREFIX = "wordsight-"


class SocketFolder:
    """Where the socket is; `note` is the file that remembers a folder outside the data folder."""

    def __init__(self, data: Path, note: Path, account: Account) -> None:
        self._data = data
        self._note = note
        self._account = account

    def choose(self) -> Path:
        """The folder for the next start. Raises `EnvironmentMissing` (`postgres_not_private`)."""
        if _fits(self._data):
            return self._data
        remembered = self._remembered()
        if remembered is not None and self._is_kept(remembered):
            return remembered
        made = self._made()
        write_file(self._note, os.fsencode(made))
        return made

    def close_to_others(self, folder: Path) -> None:
        """Close the folder of a server that runs already. Raises `EnvironmentMissing` (`postgres_not_private`)."""
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), self._account.uid}:
            raise self._refusal(f"{folder} is not ours")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
            self._account.own(folder)

    def forget(self) -> None:
        """Remove a folder outside the data folder: its server has stopped."""
        remembered = self._remembered()
        if remembered is not None and self._is_private(remembered):
            shutil.rmtree(remembered, ignore_errors=True)
        self._note.unlink(missing_ok=True)

    def _remembered(self) -> Path | None:
        try:
            folder = Path(os.fsdecode(self._note.read_bytes()))
        except (FileNotFoundError, ValueError):
            return None
        return folder if folder.name.startswith(_PREFIX) else None

    def _is_kept(self, folder: Path) -> bool:
        """Is the remembered folder there and private? One that was cleaned away is created again under its name."""
        if not _fits(folder):
            return False
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir(mode=0o700)
            self._account.own(folder)
        return self._is_private(folder)

    def _is_private(self, folder: Path) -> bool:
        try:
            found = folder.lstat()
        except OSError:
            return False
        is_closed = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        return is_closed and found.st_uid == self._account.uid

    def _made(self) -> Path:
        for temporary in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - checked, and a random name in it
            parent = temporary.resolve()
            if _fits(parent / f"{_PREFIX}12345678") and _is_safe(parent) and self._account.may_enter(parent):
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                self._account.own(folder)
                return folder
        raise self._refusal(f"the path {self._data} is too long for it, and the temp folder can't hold it safely")

    def _refusal(self, why: str) -> EnvironmentMissing:
        return EnvironmentMissing(
            NOT_PRIVATE,
            f"the embedded Postgres has no private folder for its socket: {why}",
            fix="set WORDSIGHT_HOME to a shorter path, or TMPDIR to a folder of your own, or DATABASE_URL",
        )


def _fits(folder: Path) -> bool:
    """Can a socket be bound there, and a URL name it? A comma separates hosts in a URL."""
    return len(os.fsencode(folder / _SOCKET)) <= _MOST_BYTES and "," not in str(folder)


def _is_safe(parent: Path) -> bool:
    """Can nobody else rename what is ours in this folder?"""
    found = parent.stat()
    is_trusted = found.st_uid in {0, os.geteuid()}
    return is_trusted and (not found.st_mode & 0o022 or bool(found.st_mode & stat.S_ISVTX))

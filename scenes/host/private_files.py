"""Keeping files from the other users of this machine: new files, new folders, and the data folder as a whole."""

import grp
import os
import stat
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from scenes.errors import BadInput, EnvironmentMissing

POSTGRES_GATE = "postgres.start.lock"
"""Is in the data folder from the first moment that an embedded Postgres is started there."""
POSTGRES_ACCOUNT = "pgserver"
"""The system account that runs the embedded Postgres where wordsight runs as root."""
_OTHERS = 0o077
PASSED_BY_POSTGRES = 0o710
"""Root's data folder, which belongs to the group of that account: it may pass through and read nothing."""
_UNTIL_POSTGRES_STARTS = 0o711


def restrict_new_files() -> None:
    """From now on every file and folder that this process creates is for its own user alone."""
    os.umask(_OTHERS)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each with mode 0700. A folder that exists keeps its mode."""
    missing = list(takewhile(lambda one: not one.exists(), [folder, *folder.parents]))
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def open_home(home: Path) -> None:
    """Create the data folder with mode 0700, or close an existing one and what is in it to other users.

    A folder inside that is closed already is not searched again. A data folder of another owner, such as a mounted
    volume, keeps its mode; everything in it is closed. Raises `BadInput` (`home_shared`) for a folder that holds
    more than the data of wordsight: the temp folder, the root folder. Raises `EnvironmentMissing` (`home_unusable`)
    where the folder can't be created, entered or closed.
    """
    try:
        make_folder(home)
        _close(home)
    except OSError as error:
        raise EnvironmentMissing(
            "home_unusable",
            f"the data folder {home} can't be used: {error.strerror}",
            fix="run as the user that owns it, or set WORDSIGHT_HOME to another folder",
        ) from error


def _close(home: Path) -> None:
    found = home.stat()
    if found.st_mode & stat.S_ISVTX or home.resolve() == Path("/"):
        raise BadInput(
            "home_shared", f"WORDSIGHT_HOME names {home}, which holds other files too", fix="name a folder inside it"
        )
    if found.st_uid == os.geteuid():
        _restrict(home, _allowed(home, found))
    for entry in home.iterdir():
        if _is_open_to_others(entry):
            for folder, folders, files in os.walk(entry):
                for name in [*folders, *files]:
                    _restrict(Path(folder, name))
            _restrict(entry)


def share(folder: Path) -> None:
    """Give a finished folder and all in it the modes that the umask allows: for public files such as model weights."""
    allowed = ~_umask()
    for path in [*folder.rglob("*"), folder]:
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid():
            path.chmod((0o777 if stat.S_ISDIR(status.st_mode) else 0o666) & allowed)


def _allowed(home: Path, found: os.stat_result) -> int:
    """Where an earlier version made root's data folder, its Postgres may run still; the next start closes the rest."""
    if os.geteuid() != 0:
        return 0o700
    try:
        if found.st_gid == grp.getgrnam(POSTGRES_ACCOUNT).gr_gid:
            return PASSED_BY_POSTGRES
    except KeyError:
        return 0o700
    return _UNTIL_POSTGRES_STARTS if (home / POSTGRES_GATE).exists() else 0o700


def _is_open_to_others(path: Path, allowed: int = 0o700) -> bool:
    """Has another user any access to a file or folder of ours? A link has no mode of its own."""
    try:
        status = path.lstat()
    except FileNotFoundError:  # removed in the meantime
        return False
    is_ours = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return is_ours and bool(status.st_mode & _OTHERS & ~allowed)


def _restrict(path: Path, allowed: int = 0o700) -> None:
    if _is_open_to_others(path, allowed):
        with suppress(FileNotFoundError):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & (~_OTHERS | allowed))


def _umask() -> int:
    current = os.umask(_OTHERS)
    os.umask(current)
    return current

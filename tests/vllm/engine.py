"""How tests start a real vLLM on a tiny model: options for both ways, and a server of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ENGINE = ["--enforce-eager", "--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "8"]
ALONE = ["--distributed-executor-backend", "uni"]
SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
_PATIENCE_S = 240.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers at `url`; its processes are a session of their own."""

    url: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """SIGKILL to the server and its engine at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(model: Path, log: Path, port: int = 0) -> Iterator[Running]:
    """A server that is ready. Raises `RuntimeError` with the end of its log where it does not start."""
    port = port or free_port()
    words = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), *ENGINE]
    words += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny"]
    words += ["--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}']
    with log.open("w") as written:
        process = subprocess.Popen(
            words, env=os.environ | SETTINGS, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
        )
    running = Running(f"http://127.0.0.1:{port}/v1", process)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
        yield running
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        running.kill()


def free_port() -> int:
    """A port that nobody listens to just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"the server is not ready ({process.poll()}):\n{log.read_text()[-3000:]}")

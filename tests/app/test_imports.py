"""The server starts without the heavy vendors and without rooms that are not its own."""

import subprocess
import sys

HEAVY = ("torch", "vllm", "sentence_transformers", "captioner", "indexer.calibration")


def test_importing_the_server_leaves_heavy_things_out() -> None:
    code = f"import sys, app.asgi; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

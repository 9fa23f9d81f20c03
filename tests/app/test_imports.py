"""The server starts without the heavy vendors and without rooms that are not its own."""

import subprocess
import sys

HEAVY = ("torch", "vllm", "sentence_transformers", "captioner", "indexer.calibration")


def test_importing_the_server_leaves_heavy_things_out() -> None:
    code = f"import sys, app.asgi; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_no_command_loads_numpy_before_it_is_called() -> None:
    """`serve` tells its matrix products to keep to one thread each, which NumPy reads when it loads."""
    code = "import sys; from app.cli import build; build(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_what_a_worker_imports_for_its_first_job_leaves_models_out() -> None:
    models = ("torch", "transformers", "sentence_transformers", "spacy", "presidio_analyzer", "vllm")
    code = (
        "import sys; import app.cli.worker, app.worker.worker; from app.worker import job_executor;"
        f"job_executor.import_captioner(); print([name for name in {models!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

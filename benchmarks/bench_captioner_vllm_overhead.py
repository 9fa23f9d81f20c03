"""Pipeline overhead against vLLM: images/s of a whole `caption` run over images/s of one bare `LLM.chat` on the list
of the same decoded images, the median of alternating pairs with its interval (tests/vllm/overhead.py says how).

Runs in vLLM's own environment (`make vllm-env`), about five minutes.
"""

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.recording import ROOT, record

MEASURED = ("captioner", "tests/vllm")
PAIRS, SEED, BAR = 9, 20, 0.95
_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"


def main() -> None:
    """Measure, record, and raise `AssertionError` where the bar is missed."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "told.json"
        subprocess.run([_PYTHON, "-m", "tests.vllm.overhead", file, str(PAIRS)], cwd=ROOT, check=True)
        told = json.loads(file.read_text())
    ratios = sorted(piped / bare for piped, bare in told["pairs"])
    median = statistics.median(ratios)
    figures = {
        "ratio": median,
        "interval": [ratios[1], ratios[-2]],
        "images_a_second": statistics.median(piped for piped, _ in told["pairs"]),
        "bare_images_a_second": statistics.median(bare for _, bare in told["pairs"]),
        **told,
    }
    record("bench_captioner_vllm_overhead", figures, measured=MEASURED, seed=SEED)
    print(f"{median:.3f} of one LLM.chat, {ratios[1]:.3f} to {ratios[-2]:.3f} over {PAIRS} pairs")
    if median < BAR:
        raise AssertionError(f"{median:.3f} of one LLM.chat, under {BAR}")


if __name__ == "__main__":
    main()

"""How much memory a process holds while it works."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def resident(process: int) -> Iterator[list[tuple[float, int]]]:
    """Samples of a process's resident bytes, one a second, each with its monotonic time."""
    sampled: list[tuple[float, int]] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(1.0):
            sampled.append((time.monotonic(), resident_bytes(process)))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield sampled
    finally:
        over.set()
        thread.join()


def resident_bytes(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory(sampled: list[tuple[float, int]]) -> dict[str, float]:
    """Resident MiB at the start and the end, and the straight line through all samples."""
    at, size = np.array(sampled).T
    slope = float(np.polyfit(at, size / 2**20, 1)[0])
    first = float(np.median(size[: max(1, len(size) // 10)])) / 2**20
    return {
        "first_mib": round(first, 1),
        "last_mib": round(float(np.median(size[-max(1, len(size) // 10) :])) / 2**20, 1),
        "slope_mib_per_minute": round(slope * 60, 3),
        "growth_share": round(slope * float(at[-1] - at[0]) / first, 4),
    }

"""What this machine lets the process use."""

import os


def cores() -> int:
    """How many cores this process may use: fewer than there are where it was kept to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_for_each(processes: int) -> int:
    """How many cores each of several processes has for itself, at least one."""
    return max(1, cores() // processes)

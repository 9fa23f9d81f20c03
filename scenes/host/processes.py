"""The processes and cores of this machine."""

import os


def cores() -> int:
    """How many cores this process may use: fewer than there are where it was kept to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_for_each(processes: int) -> int:
    """How many cores each of several processes has for itself, at least one."""
    return max(1, cores() // processes)


def is_alive(process: int) -> bool:
    """Is there a process of this number?"""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

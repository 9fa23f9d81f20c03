"""Counts how many tests of each group ran, so that a group that could not run is seen.

A pytest plugin (`-p tests.groups --groups-file FILE`). Each run adds its counts to FILE; `python tests/groups.py
FILE GROUP…` prints the table over all runs and exits 1 where a named group ran no test.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

GROUPS = ("postgres", "encoder", "faiss", "vllm", "browser", "cli")


class GroupCounter:
    """Collects the outcome of every test's call phase by its markers; errors in set-up count as failed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.counts: Counter[tuple[str, str]] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.failed:
            groups = [group for group in GROUPS if group in report.keywords] or ["unit"]
            self.counts.update((group, report.outcome) for group in [*groups, "all"])

    def pytest_sessionfinish(self) -> None:
        rows = [[group, outcome, n] for (group, outcome), n in sorted(self.counts.items())]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as file:
            file.write(json.dumps(rows) + "\n")


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--groups-file", type=Path, default=None, help="append the counts of each group to this file")


def pytest_configure(config: Any) -> None:
    file = config.getoption("--groups-file")
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(GroupCounter(file), "wordsight-groups")


def table(file: Path) -> Counter[tuple[str, str]]:
    """The counts of all runs in a file."""
    total: Counter[tuple[str, str]] = Counter()
    for line in file.read_text().splitlines():
        total.update({(group, outcome): n for group, outcome, n in json.loads(line)})
    return total


def main(file: str, *required: str) -> int:
    counts = table(Path(file))
    names = sorted({group for group, _ in counts} | set(required) - {"all"})
    for group in [name for name in names if name != "all"]:
        print(f"  {group:<10}{counts[group, 'passed']:>6} passed{counts[group, 'failed']:>6} failed")
    idle = [group for group in required if not counts[group, "passed"] + counts[group, "failed"]]
    for group in idle:
        print(f"error: no test of the group {group!r} ran")
    print(f"{counts['all', 'passed']} passed, {counts['all', 'failed']} failed")
    return 1 if idle or counts["all", "failed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

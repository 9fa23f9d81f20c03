"""Job: work that a client asked for and a worker does; what both say of it."""

from collections.abc import Mapping
from typing import Any, Literal

from scenes.errors import WordsightError

JobKind = Literal["ingest", "publish", "index", "upload"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
OVER: tuple[JobState, ...] = ("done", "failed", "cancelled")


def told(error: WordsightError) -> Mapping[str, Any]:
    """An error as a job keeps it."""
    return {"code": error.code, "message": error.message, "fix": error.fix}

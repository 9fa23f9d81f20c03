"""How long an uploaded image waits for an engine that does not answer: its bytes are nowhere but in the spool."""

from scenes.catalog.jobs import JobRow
from scenes.catalog.queue import MOST_WAITS
from scenes.outcome import FailureReason

UNANSWERED = frozenset({FailureReason.ENGINE_ERROR.value, FailureReason.TIMEOUT.value})
"""Failures that say nothing of the image."""
_FIRST_S, _LONGEST_S = 2.0, 120.0


class Unanswered(Exception):
    """The job can't be done now, as `why` says, and is tried again `again_in_s` seconds later."""

    def __init__(self, again_in_s: float, why: str) -> None:
        super().__init__(why)
        self.again_in_s = again_in_s
        self.why = why


def be_patient(job: JobRow, why: str = "the engine does not answer") -> None:
    """Raises `Unanswered` while an upload may wait: some six minutes in all, besides what the engine itself tries."""
    if job.kind == "upload" and job.attempt <= MOST_WAITS:
        raise Unanswered(min(_LONGEST_S, _FIRST_S * 2 ** (job.attempt - 1)), why)

"""The Python client: `Wordsight` and `AsyncWordsight`, needing httpx and pydantic alone."""

from app.client.asynchronous import AsyncWordsight
from app.client.models import (
    Answer,
    AuditEntry,
    BulkResult,
    Collection,
    Explanation,
    Image,
    Job,
    Key,
    Match,
    Stored,
    Version,
)
from app.client.retrying import Refusal, Retries, Unreachable
from app.client.synchronous import Wordsight

__all__ = [
    "Answer",
    "AsyncWordsight",
    "AuditEntry",
    "BulkResult",
    "Collection",
    "Explanation",
    "Image",
    "Job",
    "Key",
    "Match",
    "Refusal",
    "Retries",
    "Stored",
    "Unreachable",
    "Version",
    "Wordsight",
]

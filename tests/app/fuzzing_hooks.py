"""What schemathesis can't know by itself: how NDJSON is written, and that a job goes with its collection."""

from http import HTTPStatus
from typing import Any

import requests
import schemathesis

_JOBS = "/v1/jobs"


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.check
def a_job_goes_with_its_collection_alone(context: Any, response: Any, case: Any) -> None:
    """A job that was started is there as long as its collection is; in place of `ensure_resource_availability`."""
    parent = context.internals.find_parent(case_id=case.id)
    started = None if parent is None else context.internals.find_response(case_id=parent.id)
    if response.status_code != HTTPStatus.NOT_FOUND or started is None or not _is_about(parent, started, case):
        return
    collection, sent = started.json()["collection"], response.request
    server = sent.url.partition(_JOBS)[0]
    headers = {"Authorization": sent.headers.get("Authorization", "")}
    there = requests.get(f"{server}/v1/collections/{collection}", headers=headers, timeout=10)
    assert there.status_code == HTTPStatus.NOT_FOUND, f"the job is gone, its collection {collection} is not"


def _is_about(parent: Any, started: Any, case: Any) -> bool:
    """Is a case about the job that its parent started?"""
    was_started = (parent.method, parent.path, started.status_code) == ("POST", _JOBS, HTTPStatus.ACCEPTED)
    return was_started and (case.path_parameters or {}).get("job_id") == started.json()["job_id"]

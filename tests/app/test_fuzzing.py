"""A few hundred generated requests to every endpoint: no server error, nothing that the OpenAPI document denies."""

from pathlib import Path

import pytest

from tests.app.fuzzing import fuzz
from tests.app.live import live


@pytest.mark.postgres
@pytest.mark.http
def test_generated_requests_meet_no_fault(database_url: str, home: Path, tmp_path: Path) -> None:
    with live(database_url, home, "pets") as server:
        done = fuzz(server, "pets", tmp_path, examples=8, seed=20_261_123, phases="examples,fuzzing")
    assert done.clean, done.report
    assert done.cases > 300

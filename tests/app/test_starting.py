"""A server process that starts while Postgres is away is there, and not ready, until Postgres is back."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.asgi import opened
from app.http.telemetry.metrics import MULTIPROCESS, Metrics
from app.main import create_app
from app.settings import Settings
from scenes.errors import EnvironmentMissing

NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"


def settings(home: Path, *, schema_is_new: bool) -> Settings:
    named = {"WORDSIGHT_HOME": home, "DATABASE_URL": NOBODY, "WORDSIGHT_SCHEMA_IS_NEW": schema_is_new}
    return Settings.model_validate(named)


@pytest.mark.encoder
@pytest.mark.http
async def test_one_that_replaces_another_starts_without_postgres(home: Path) -> None:
    metrics = Metrics()
    app = create_app(lambda: opened(settings(home, schema_is_new=True), metrics), metrics, 8)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")
    async with app.router.lifespan_context(app), client:
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["code"]) == (503, "postgres_unreachable")


@pytest.mark.http
async def test_the_first_one_says_that_postgres_is_missing(home: Path) -> None:
    with pytest.raises(EnvironmentMissing):
        async with opened(settings(home, schema_is_new=False), Metrics()):
            pass


COUNT = """
from app.http.telemetry.metrics import Metrics
metrics = Metrics()
metrics.in_flight.inc()
metrics.searched("some")
print("counted", flush=True)
input()
"""


def test_what_a_killed_process_was_doing_is_no_longer_counted(tmp_path: Path) -> None:
    environment = os.environ | {MULTIPROCESS: str(tmp_path)}
    told = [sys.executable, "-c", "from app.http.telemetry.metrics import Metrics; print(Metrics().text().decode())"]
    with subprocess.Popen(
        [sys.executable, "-c", COUNT], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout
        assert one.stdout.readline() == "counted\n"
        alive = subprocess.run(told, env=environment, capture_output=True, text=True, check=True).stdout
        one.kill()
    gone = subprocess.run(told, env=environment, capture_output=True, text=True, check=True).stdout
    assert "wordsight_requests_in_flight 1.0" in alive
    assert "wordsight_requests_in_flight 1.0" not in gone
    for text in (alive, gone):
        assert 'wordsight_searches_total{matches="some"} 1.0' in text

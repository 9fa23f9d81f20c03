"""Workers killed at random moments while they do acknowledged jobs: nothing lost, nothing doubled, all done."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict

from benchmarks.recording import record
from scenes.catalog.embedded import postgres
from tests.app.jobs.killing import Campaign, environment, wage
from tests.app.live import live
from tests.captioner.scripted_server import scripted
from tests.conftest import open_folder

MEASURED = (
    "app/worker/job_executor.py",
    "app/cli/worker.py",
    "app/jobs",
    "app/uploads",
    "captioner/batches/publish.py",
    "captioner/pipeline/run.py",
    "scenes/catalog/jobs.py",
    "scenes/catalog/queue.py",
    "tests/app/jobs/killing.py",
)
RUNS, KILLS_A_RUN = 7, 3
SEED = 20_261_124


def main() -> None:
    chance, campaign = random.Random(SEED), Campaign()

    def at_random(_come_to: Callable[[], int]) -> None:
        time.sleep(chance.uniform(0.0, 8.0))

    with open_folder() as home, postgres(home, None) as url, scripted(latency=0.3) as engine:
        photos, base = home / "photos", os.environ | {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url}
        with live(url, home, sources=(str(photos),)) as server:
            for _ in range(RUNS):
                wage(campaign, server, environment(base, photos, engine), photos, KILLS_A_RUN, at_random)
    print(campaign)
    figures = asdict(campaign) | {"attempts": {str(n): many for n, many in sorted(campaign.attempts.items())}}
    if campaign.lost or campaign.doubled or campaign.unfinished or campaign.leftovers or campaign.faults:
        raise AssertionError(str(campaign))
    record("long_job_kills", figures, measured=MEASURED, seed=SEED)


if __name__ == "__main__":
    main()

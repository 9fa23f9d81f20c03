"""Kills against a real vLLM on a tiny model, over HTTP and in process: nothing lost, nothing doubled.

`python -m tests.vllm.killing FILE` (in vLLM's own environment) wages it and writes the counts as JSON.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from captioner.batches.folder import BatchFolder
from captioner.engines.engine import Describer
from captioner.engines.openai import OpenAIDescriber, Server
from captioner.engines.vllm import VllmDescriber
from captioner.pipeline.run import Plan, caption
from captioner.pipeline.stop import Stop
from captioner.sources import items
from scenes.recipe import CaptionRecipe, Sampling
from tests.captioner.killing import Campaign, Outcomes, compare, outcomes, sixty
from tests.vllm.engine import ALONE, ENGINE, SETTINGS, free_port, serving
from tests.vllm.tiny_model import build

_CONTEXT = multiprocessing.get_context("forkserver")
_MAX_TOKENS = 600
_HTTP = CaptionRecipe(engine="openai", model="tiny", prompt="scene-1", sampling=Sampling(max_tokens=_MAX_TOKENS))
_LONGEST_S = 240.0
Work = Callable[[str, str, str, str], None]


@dataclass(frozen=True, slots=True)
class Field:
    """Where a campaign is fought: the images, the folder for its runs, the model or the server, and the worker."""

    source: Path
    folder: Path
    engine: str
    work: Work
    latest_kill_s: float


def over_http(source: str, out: str, url: str, ready: str) -> None:
    """A worker that asks a server, in a process of its own."""
    server = Server(url, None, concurrency=8, timeout=60.0, tries=3, first_wait=0.1)
    _caption(OpenAIDescriber(server, _HTTP), source, out, ready)


def in_process(source: str, out: str, model: str, ready: str) -> None:
    """A worker with an engine of its own."""
    os.environ.update(SETTINGS)
    _caption(VllmDescriber.from_options(model, [*ENGINE, *ALONE, "--max-tokens", str(_MAX_TOKENS)]), source, out, ready)


def _caption(describer: Describer, source: str, out: str, ready: str) -> None:
    Path(ready).touch()
    with Stop().on_signals() as stop:
        folder = BatchFolder.for_recipe(Path(out), describer.recipe)
        caption(items(source), describer, folder, plan=Plan(records_a_file=4), stop=stop)
    os._exit(0)


def start(field: Field, out: Path) -> Any:
    """A worker that is ready to be killed."""
    ready = field.folder / f"ready-{time.monotonic_ns()}"
    arguments = (str(field.source), str(out), field.engine, str(ready))
    worker = _CONTEXT.Process(target=field.work, args=arguments, daemon=True)
    worker.start()
    until = time.monotonic() + _LONGEST_S
    while not ready.exists() and worker.is_alive() and time.monotonic() < until:
        time.sleep(0.05)
    if not ready.exists():
        raise AssertionError(f"a worker never became ready ({worker.exitcode})")
    return worker


def finish(field: Field, out: Path) -> None:
    """A run that nobody disturbs, to its end."""
    worker = start(field, out)
    worker.join(_LONGEST_S)
    if worker.exitcode != 0:
        raise AssertionError(f"a worker that nobody disturbed ended with {worker.exitcode}")


def strike(field: Field, out: Path, chance: random.Random, campaign: Campaign) -> None:
    """One worker, ended at a random moment, two times of three by SIGKILL."""
    worker = start(field, out)
    worker.join(chance.uniform(0.0, field.latest_kill_s))
    if worker.exitcode is None:
        number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        os.kill(worker.pid, number)
        campaign.kills[number.name] += 1
    worker.join(_LONGEST_S)
    if worker.exitcode is None:
        raise AssertionError("a worker hangs")


def wage(field: Field, chance: random.Random, *, kills: int, strikes: int) -> tuple[Campaign, Outcomes]:
    """Until so many workers were killed: strikes on one folder, which is then finished and compared."""
    calm = field.folder / "undisturbed"
    finish(field, calm)
    undisturbed, campaign = outcomes(calm), Campaign()
    while sum(campaign.kills.values()) < kills:
        out = field.folder / f"out-{campaign.runs}"
        for _ in range(strikes):
            strike(field, out, chance, campaign)
        finish(field, out)
        compare(out, undisturbed, campaign)
        campaign.runs += 1
        print(campaign, flush=True)
    return campaign, undisturbed


def server_dies(field: Field, model: Path, port: int, undisturbed: Outcomes) -> Campaign:
    """The server and its engine are killed while a worker asks; another is started on the same port."""
    campaign, out, log = Campaign(), field.folder / "out-server", field.folder / "server.log"
    with serving(model, log, port) as running:
        worker = start(field, out)
        worker.join(2.0)
        running.kill()
        campaign.kills["server SIGKILL"] += 1
    worker.join(_LONGEST_S)
    with serving(model, log, port):
        finish(field, out)
    compare(out, undisturbed, campaign)
    campaign.runs += 1
    return campaign


def main(file: str) -> None:
    chance = random.Random(3)
    with tempfile.TemporaryDirectory(prefix="wordsight-vllm-kills-") as name:
        folder = Path(name)
        model, source = build(folder / "tiny", brief=True), sixty(folder / "source")
        port = free_port()
        (folder / "http").mkdir()
        (folder / "own").mkdir()
        http = Field(source, folder / "http", f"http://127.0.0.1:{port}/v1", over_http, 2.5)
        with serving(model, folder / "log", port):
            asked, calm_http = wage(http, chance, kills=14, strikes=4)
        died = server_dies(http, model, port, calm_http)
        own = Field(source, folder / "own", str(model), in_process, 2.5)
        mine, calm_own = wage(own, chance, kills=7, strikes=3)
    told = {"over_http": _told(asked, calm_http), "server_dies": _told(died, calm_http)}
    told["in_process"] = _told(mine, calm_own)
    Path(file).write_text(json.dumps(told))


def _told(campaign: Campaign, undisturbed: Outcomes) -> dict[str, Any]:
    kinds = Counter(kind for kind, _ in undisturbed.values())
    return {**asdict(campaign), "kills": dict(campaign.kills), "undisturbed": dict(kinds)}


if __name__ == "__main__":
    main(sys.argv[1])

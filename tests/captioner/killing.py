"""Captioning under fire: workers that are killed at random moments, disks that fill, a server that misbehaves."""

import errno
import multiprocessing
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from captioner.engines.openai import OpenAIDescriber, Server
from captioner.pipeline.run import Plan, caption
from captioner.pipeline.stop import Stop
from captioner.sources import items
from scenes.errors import EnvironmentMissing
from scenes.outcome import Described
from scenes.recipe import CaptionRecipe
from tests.captioner.scripted_server import scripted

RECIPE = CaptionRecipe(engine="openai", model="scripted", prompt="scene-1")
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.captioner.killing"])
_LONGEST_S = 60.0
Outcomes = dict[str, tuple[str, str]]


def work(source: str, out: str, url: str, full_after: int) -> None:
    """One worker, in a process of its own; after `full_after` writes its disk is full (0: never)."""
    if full_after:
        _fill_disk(full_after)
    server = Server(url, None, concurrency=6, timeout=0.5, tries=4, first_wait=0.01)
    describer = OpenAIDescriber(server, RECIPE)
    try:
        with Stop().on_signals() as stop:
            caption(items(source), describer, BatchFolder.for_recipe(Path(out), RECIPE), plan=_SMALL, stop=stop)
    except EnvironmentMissing as error:
        os._exit(28 if "No space" in error.message else 3)
    finally:
        describer.close()


_SMALL = Plan(records_a_file=4)


def _fill_disk(after: int) -> None:
    real, left = os.fsync, [after]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    os.fsync = fsync


@dataclass
class Campaign:
    """What was done to the workers, and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    full_disks: int = 0
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    differing: int = 0

    def __str__(self) -> str:
        return (
            f"{sum(self.kills.values())} kills {dict(self.kills)}, {self.full_disks} full disks in {self.runs} runs: "
            f"{self.lost} lost, {self.doubled} doubled, {self.differing} differing"
        )


def wage(source: Path, folder: Path, undisturbed: Outcomes, *, kills: int, seed: int) -> Campaign:
    """Caption `source` again and again under fire, finishing each time, until so many workers were killed."""
    chance, campaign = random.Random(seed), Campaign()
    with scripted(latency=0.02, faults=0.2, seed=seed, hang=2.0) as angry, scripted(latency=0.002) as calm:
        while sum(campaign.kills.values()) < kills:
            out = folder / f"out-{campaign.runs}"
            for _ in range(chance.randint(4, 8)):
                _one_kill(source, out, angry, chance, campaign)
            for _ in range(2):
                _finish(source, out, calm)
            compare(out, undisturbed, campaign)
            campaign.runs += 1
    return campaign


def undisturbed_outcomes(source: Path, out: Path) -> Outcomes:
    """What a run that nobody disturbs gives."""
    with scripted(latency=0.002) as url:
        _finish(source, out, url)
    return outcomes(out)


def outcomes(out: Path) -> Outcomes:
    """Image id → (kind, reason) of the records that stand."""
    found: Outcomes = {}
    for record in standing(BatchFolder.all_in(out)[0]):
        outcome = record.outcome
        assert outcome.image_id not in found
        found[outcome.image_id] = (outcome.kind, "" if isinstance(outcome, Described) else outcome.reason.value)
    return found


def _one_kill(source: Path, out: Path, url: str, chance: random.Random, campaign: Campaign) -> None:
    """Start one or two workers on the same folder and end each at a random moment, most of them by SIGKILL."""
    full_after = chance.randint(1, 12) if chance.random() < 0.15 else 0
    workers = [_start(source, out, url, full_after if n == 0 else 0) for n in range(chance.choice((1, 1, 2)))]
    for worker in workers:
        worker.join(_LONGEST_S if full_after else chance.uniform(0.02, 0.5))
        if worker.exitcode is None:
            number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            os.kill(worker.pid, number)
            campaign.kills[number.name] += 1
        worker.join(_LONGEST_S)
        assert worker.exitcode is not None, "a worker hangs"
        campaign.full_disks += worker.exitcode == errno.ENOSPC


def _finish(source: Path, out: Path, url: str) -> None:
    worker = _start(source, out, url, 0)
    worker.join(_LONGEST_S * 3)
    assert worker.exitcode == 0, worker.exitcode


def _start(source: Path, out: Path, url: str, full_after: int) -> Any:
    worker = _CONTEXT.Process(target=work, args=(str(source), str(out), url, full_after), daemon=True)
    worker.start()
    return worker


def compare(out: Path, undisturbed: Outcomes, campaign: Campaign) -> None:
    """Count what is lost, doubled or differs in a folder."""
    found = outcomes(out)
    campaign.lost += len(undisturbed.keys() - found.keys())
    campaign.doubled += len(found.keys() - undisturbed.keys())
    campaign.differing += sum(found[key] != undisturbed[key] for key in found.keys() & undisturbed.keys())


def sixty(folder: Path) -> Path:
    """A folder of 60 entries: 54 images, some of which the server never describes, and 6 that are broken."""
    from tests.captioner.conftest import png

    folder.mkdir(parents=True)
    for n in range(54):
        (folder / f"{n:02}.png").write_bytes(png((n * 4, 255 - n * 4, n)))
    whole = png((9, 9, 9), (300, 300))
    broken = [b"", b"not an image at all", b"GIF89a nothing", whole[:-40], whole[:60]]
    for n, data in enumerate(broken):
        (folder / f"broken-{n}.png").write_bytes(data)
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    return folder

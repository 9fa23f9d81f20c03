"""`wordsight worker`: keeps every collection searchable until it is stopped."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import open_catalog, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.jobs.shift import Shift
    from app.settings import Settings
    from app.worker import Work, Worker
    from scenes.catalog.engine import Catalog

Once = Annotated[bool, typer.Option("--once", help="Go round all collections once and end.")]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Look at least so often, in seconds.")]


def register(cli: typer.Typer) -> None:
    cli.command()(worker)


def worker(once: Once = False, every: Every = 60.0, as_json: Json = False) -> int:
    """Do the jobs that were started over REST, and keep every collection searchable.

    Jobs describe, publish and index; each collection's own engine describes, with WORDSIGHT_ENGINE_OPTIONS. Beside
    them what has no vectors is embedded, old releases are rebuilt and expired searches purged.

    Runs until SIGTERM or Ctrl-C, which is exit code 0, and hears of each change at once; --every is for what it could
    not hear of. With --once, exit code 1 means that a collection failed, 130 that the round was stopped before its end.
    """
    stopped, work = asyncio.run(_work(once, timedelta(seconds=every)))
    body = asdict(work)
    output.result(as_json, body, "\n".join(f"{name:<10}{value}" for name, value in body.items()))
    if once and stopped:
        return output.INTERRUPTED
    return 1 if once and work.failed else 0


async def _work(once: bool, every: timedelta) -> tuple[bool, "Work"]:
    from app.worker import Around, Worker
    from indexer.serving_encoder import EncoderLoader

    config = settings()
    async with open_catalog(config) as catalog:
        load = EncoderLoader(config.home, config.models, config.encoder_runtime)
        worker = Worker(catalog, config.home, Around(load, output.say, output.progress))
        async with open_shift(catalog, config, worker) as shift:
            output.say("the worker goes round once" if once else "the worker runs; Ctrl-C or SIGTERM stops it")
            stopped = await _unless_stopped(_once(worker, shift) if once else _keep(worker, shift, config, every))
    return stopped, worker.work


@asynccontextmanager
async def open_shift(catalog: "Catalog", config: "Settings", worker: "Worker") -> "AsyncIterator[Shift]":
    """What does the jobs, beside a worker that indexes for it."""
    from app.cli.performing import Describers, Performer
    from app.jobs.runner import Room, Runner
    from app.jobs.shift import Leftovers, Shift
    from app.security import Secret
    from app.uploads.spool import Spool
    from scenes.catalog.queue import open_queue

    describers = Describers(config.engine_options, config.models)
    spool = Spool(config.spool, Secret.load(config.home, config.secret))
    performer = Performer(catalog, config, describers, worker.index, spool)
    runner = Runner(catalog, Room(performer, performer.tidy, output.say))
    try:
        async with open_queue(catalog.url, runner.run, _lost_after(config)) as queue:
            yield Shift(catalog, queue, runner, Leftovers(performer.leftovers, performer.tidy))
    finally:
        await asyncio.to_thread(describers.close)


async def _once(worker: "Worker", shift: "Shift") -> None:
    await shift.once()
    await worker.go_round()


async def _keep(worker: "Worker", shift: "Shift", config: "Settings", every: timedelta) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.keep(every))
            group.create_task(shift.keep(_lost_after(config) / 3))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several


def _lost_after(config: "Settings") -> timedelta:
    return timedelta(seconds=config.worker_lost_after_s)


async def _unless_stopped(work: Coroutine[Any, Any, None]) -> bool:
    """Run work until it ends or a signal stops it; True where it was stopped."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False

"""`wordsight worker`: keeps every collection searchable until it is stopped."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output, stopping
from app.cli.options import Json
from app.cli.wiring import open_catalog, settings
from scenes.errors import WordsightError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.settings import Settings
    from app.worker.worker import Work, Worker
    from app.worker.worker_loop import Shift
    from scenes.catalog.connection import Catalog

Once = Annotated[bool, typer.Option("--once", help="Go round all collections once and end.")]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Look at least so often, in seconds.")]


def register(cli: typer.Typer) -> None:
    cli.command()(worker)


def worker(once: Once = False, every: Every = 60.0, as_json: Json = False) -> int:
    """Do the jobs that were started over REST, and keep every collection searchable.

    Jobs describe, publish and index; each collection's own engine describes, with WORDSIGHT_ENGINE_OPTIONS. Beside
    them what has no vectors is embedded, old releases are rebuilt and expired searches purged.

    Runs until Ctrl-C, SIGTERM or SIGHUP, which is exit code 0, and hears of each change at once; --every is for what it
    could not hear of. Another exit code means that it can't go on and has to be started again. With --once, exit code 1
    means that a collection failed, 130 that the round was stopped before its end.
    """
    from app.worker.worker import Work
    from scenes.errors import trace_of

    work, stopped = Work(), False
    try:
        stopping.run(_work(once, timedelta(seconds=every), work))
    except KeyboardInterrupt:
        stopped = True
    except WordsightError:
        raise
    except Exception as error:  # noqa: BLE001 - reported without its words, which may be a user's
        output.say(f"the worker can't go on\n{trace_of(error)}")
        return 1
    body = asdict(work)
    output.result(as_json, body, "\n".join(f"{name:<10}{value}" for name, value in body.items()))
    if once and stopped:
        return output.INTERRUPTED
    return 1 if once and work.failed else 0


async def _work(once: bool, every: timedelta, work: "Work") -> None:
    from app.worker.worker import Around, Worker
    from indexer.encoding.serving import EncoderLoader

    config = settings()
    async with open_catalog(config) as catalog:
        load = EncoderLoader(config.home, config.models, config.encoder_runtime)
        worker = Worker(catalog, config.home, Around(load, output.say, output.progress), work)
        async with open_shift(catalog, config, worker) as shift:
            output.say("the worker goes round once" if once else "the worker runs; Ctrl-C or SIGTERM stops it")
            try:
                await (_once(worker, shift) if once else _keep(worker, shift, config, every))
            except ExceptionGroup as several:
                raise _first_of(several) from several


@asynccontextmanager
async def open_shift(catalog: "Catalog", config: "Settings", worker: "Worker") -> "AsyncIterator[Shift]":
    """What does the jobs, beside a worker that indexes for it."""
    from app.http.security import Secret
    from app.uploads.spool import Spool
    from app.worker.attempt import Room, Runner
    from app.worker.job_executor import Describers, Performer
    from app.worker.worker_loop import Leftovers, Shift
    from scenes.catalog.queue import open_queue

    describers = Describers(config.engine_options, config.models)
    spool = Spool(config.spool, Secret.load(config.home, config.secret))
    performer = Performer(catalog, config, describers, worker.index, spool)
    runner = Runner(catalog, Room(performer, performer.tidy, output.say))
    try:
        async with open_queue(catalog.url, runner.run, _lost_after(config)) as queue:
            yield Shift(catalog, queue, runner, Leftovers(performer.leftovers, performer.tidy), output.say)
    finally:
        await asyncio.to_thread(describers.close)


async def _once(worker: "Worker", shift: "Shift") -> None:
    await shift.once()
    await worker.go_round()


async def _keep(worker: "Worker", shift: "Shift", config: "Settings", every: timedelta) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.keep(every))
        group.create_task(shift.keep(_lost_after(config) / 3))


def _first_of(error: Exception) -> Exception:
    return _first_of(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _lost_after(config: "Settings") -> timedelta:
    return timedelta(seconds=config.worker_lost_after_s)

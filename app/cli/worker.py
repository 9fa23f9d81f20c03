"""`wordsight worker`: keeps every collection searchable until it is stopped."""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import load_encoder, open_catalog, settings

if TYPE_CHECKING:
    from app.worker import Work

Once = Annotated[bool, typer.Option("--once", help="Go round all collections once and end.")]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Look at least so often, in seconds.")]


def register(cli: typer.Typer) -> None:
    cli.command()(worker)


def worker(once: Once = False, every: Every = 60.0, as_json: Json = False) -> int:
    """Embed what has no vectors, rebuild old releases and purge expired searches of every collection.

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

    config = settings()
    async with open_catalog(config) as catalog:
        worker = Worker(catalog, config.home, Around(load_encoder, output.say, output.progress))
        output.say("the worker goes round once" if once else "the worker runs; Ctrl-C or SIGTERM stops it")
        stopped = await _unless_stopped(worker.go_round() if once else worker.keep(every))
    return stopped, worker.work


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

"""`wordsight caption run|status`: describe images into batch files; needs no database."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import output, tallies
from app.cli.options import ConsentOption, EngineOption, EngineOptions, Json, ModelOption
from app.cli.wiring import choose_engine, engine_name, make_describer

Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many images.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Describe images into batch files, on a machine without a database.", no_args_is_help=True)
    group.command()(run)
    group.command()(status)
    cli.add_typer(group, name="caption")


def run(
    source: Annotated[str, typer.Argument(help="A folder, a file, a glob or a .txt list of files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the batch files.")],
    engine_options: EngineOptions = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    consent: ConsentOption = False,
    limit: Limit = None,
    as_json: Json = False,
) -> int:
    """Describe every image of SOURCE into Parquet batches under OUT.

    A second run goes on where the first one stopped and tries again what failed. Take the folder to a machine with
    the database and run `wordsight publish OUT --collection C` there.
    """
    from itertools import islice

    from captioner.batches import BatchFolder
    from captioner.run import Stop, caption
    from captioner.sources import items

    chosen = choose_engine(engine_name(engine), None)
    describer = make_describer(chosen, model, engine_options or [], consent=consent)
    try:
        folder = BatchFolder.for_recipe(out, describer.recipe)
        with Stop().on_signals() as stop, output.progress("describing") as tick:
            found = islice(items(source), limit)
            tally = caption(found, describer, folder, known=lambda _ids: set(), stop=stop, tick=tallies.ticker(tick))
    finally:
        describer.close()
    output.result(as_json, tallies.as_json(tally), tallies.as_text(tally))
    return tallies.exit_code(tally)


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of `caption run --out`.")],
    as_json: Json = False,
) -> int:
    """Say how far the batches in DIR are: described, refused, failed, and why."""
    from collections import Counter

    from captioner.batches import BatchFolder, latest
    from scenes.outcome import Described

    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for batches in BatchFolder.all_in(folder):
        for record in latest(batches.records()):
            kinds[record.outcome.kind] += 1
            if not isinstance(record.outcome, Described):
                reasons[record.outcome.reason.value] += 1
    body = {name: kinds[name] for name in ("described", "refused", "failed")}
    output.result(as_json, {"pending": None, **body, "reasons": dict(reasons)}, "\n".join(tallies.table(body, reasons)))
    return 0

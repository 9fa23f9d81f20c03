"""`wordsight caption run|status|retry|estimate`: describe images into batch files; needs no database."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli import captioning, output, tallies
from app.cli.caption_options import CaptionOptions, with_caption_options
from app.cli.options import ConsentOption, EngineOptions, Json

SOURCE_HELP = (
    "A folder, a file, a glob, a .txt list, a zip, tar or Parquet file, an HTTP(S) URL, or a bucket (s3://, gs://)."
)
SourceArgument = Annotated[str, typer.Argument(help=SOURCE_HELP)]
DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of `caption run --out`.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Describe images into batch files, on a machine without a database.", no_args_is_help=True)
    group.command()(with_caption_options(run))
    group.command()(status)
    group.command()(retry)
    group.command()(with_caption_options(estimate))
    cli.add_typer(group, name="caption")


def run(
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the batch files.")],
    options: CaptionOptions,
    as_json: Json = False,
) -> int:
    """Describe every image of SOURCE into Parquet batches under OUT.

    A second run goes on where the first one stopped and tries again what failed; several machines may share OUT.
    Take the folder to a machine with the database and run `wordsight publish OUT --collection C` there.
    """
    from captioner.pipeline.stop import Stop
    from captioner.sources import check

    check(source)
    with captioning.open_describer(options.choice) as describer, Stop().on_signals() as stop:
        folder = captioning.batch_folder(out, captioning.whole_recipe(describer, options))
        tally = captioning.caption_source(source, describer, folder, options, stop)
    swept = captioning.sweep_source(source, folder, options)
    tallies.show(as_json, tally, {"sources": asdict(swept)} if swept else {})
    return tallies.exit_code(tally)


def status(folder: DirArgument, as_json: Json = False) -> int:
    """Say how far the batches in DIR are: described, refused, failed, pending, and why; also while a run goes on."""
    from captioner.batches.status import status as count

    found = count(folder)
    body = {name: getattr(found, name) for name in ("pending", "described", "refused", "failed")}
    more = {"clones": found.clones, "tokens_in": found.tokens_in, "tokens_out": found.tokens_out, "runs": found.runs}
    words = tallies.table({**{name: "?" if n is None else n for name, n in body.items()}}, found.reasons)
    if found.clones:
        words.append(
            f"{found.clones} descriptions are said of several images: wordsight caption retry DIR --reason clone"
        )
    words += [tallies.run_line(one) for one in found.runs]
    output.result(as_json, {**body, "reasons": dict(found.reasons), **more}, "\n".join(words))
    return 0


def retry(
    folder: DirArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Which failures: a reason of `status`, clone, or all.")],
    engine_options: EngineOptions = None,
    consent: ConsentOption = False,
    as_json: Json = False,
) -> int:
    """Try again what ended for a REASON, under the same recipe, a little warmer; clones are told by `status`.

    The sources are read once more from where they were. Options of the engine that change no result, such as
    --base-url, go after --.
    """
    from captioner.batches.folder import BatchFolder
    from captioner.batches.retry import checked_reason
    from captioner.batches.status import status as count

    checked_reason(reason)
    batches = BatchFolder.all_in(folder)
    tally = captioning.retry_all(batches, reason, engine_options or [], consent=consent)
    found = count(folder)
    more = {"pending": found.pending, "clones": found.clones}
    tallies.show(as_json, tally, more)
    return tallies.exit_code(tally)


def estimate(
    source: SourceArgument,
    options: CaptionOptions,
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many images to describe for it.")] = 8,
    price_in: Annotated[float, typer.Option("--price-in", min=0.0, help="Price of a million tokens in.")] = 0.0,
    price_out: Annotated[float, typer.Option("--price-out", min=0.0, help="Price of a million tokens out.")] = 0.0,
    as_json: Json = False,
) -> int:
    """Say what captioning SOURCE would take, from a sample: images, tokens, hours of this machine, disk, money."""
    from captioner.pipeline.estimate import estimate as measure
    from captioner.sources import Shard, check, items

    check(source)
    found = Shard.parse(options.shard).of(items(source))
    with captioning.open_describer(options.choice) as describer:
        recipe = captioning.whole_recipe(describer, options)
        told = measure(found, describer, recipe, size=sample, plan=captioning.plan(recipe))
    money = (told.tokens_in * price_in + told.tokens_out * price_out) / 1e6
    body = tallies.estimate_as_json(told) | {"price": round(money, 4) if price_in or price_out else None}
    output.result(as_json, body, tallies.estimate_as_text(body))
    return 0

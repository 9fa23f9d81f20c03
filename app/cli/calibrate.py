"""`wordsight calibrate`: fine-tune the encoder on captions, text only."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import output
from app.cli.options import Json


def register(cli: typer.Typer) -> None:
    cli.command()(calibrate)


def calibrate(
    pairs: Annotated[
        Path, typer.Argument(help='JSON Lines: {"query", "description"} or {"image", "captions": […]} a line.')
    ],
    out: Annotated[Path, typer.Option(help="The folder of the calibrated encoder; a stopped run goes on there.")],
    encoder: Annotated[
        str | None, typer.Option(help="What to start from: a packaged model's name, a folder or a hub name.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    passes: Annotated[float, typer.Option(min=0.01, help="How often each caption asks once.")] = 1.2,
    batch: Annotated[int, typer.Option(min=4, help="Pairs a step, counterfactuals among them.")] = 64,
    apart_from: Annotated[
        list[Path] | None,
        typer.Option(help="BEIR folders that will be evaluated: shared images are refused, shared captions dropped."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Fine-tune the encoder so that short queries find long descriptions; measures before and after on held-out images.

    Example: wordsight calibrate captions.jsonl --out my-encoder
    """
    from indexer.calibration.calibrating import calibrate as run
    from indexer.calibration.pairs import read_pairs, without
    from indexer.calibration.training import Plan
    from indexer.evaluation.dataset import read_beir
    from scenes.weights.registry import BASE_ENCODER

    sets = [read_beir(folder) for folder in apart_from or []]
    texts = {query for one in sets for query in one.queries}
    images = {document for one in sets for document in one.document_ids}
    examples, dropped = without(read_pairs(pairs), texts, images)
    output.say(f"{len(examples)} images; {dropped} captions dropped that are also evaluated")
    plan = Plan(seed=seed, passes=passes, batch=batch)
    with output.progress("calibrating") as tick:
        done = run(
            encoder or BASE_ENCODER, examples, dropped, plan, out, lambda n, m, loss: tick(n, m, f"loss {loss:.3f}")
        )
    body = {"before": done.before, "after": done.after, "manifest": done.manifest}
    output.result(as_json, body, _text(done.before, done.after, out))
    return 0


def _text(before: dict[str, float], after: dict[str, float], out: Path) -> str:
    lines = [f"{'held out':<10} {'before':>7} {'after':>7}"]
    lines += [f"{name:<10} {before[name]:>7.3f} {after[name]:>7.3f}" for name in before]
    return "\n".join([*lines, f"use it: wordsight collection create NAME --encoder {out}"])

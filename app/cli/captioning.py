"""One captioning run, as `caption run`, `caption retry` and `ingest` share it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli import output, tallies
from app.cli.caption_options import CaptionOptions
from app.cli.wiring import EngineChoice, choose_engine, keep_caches, make_describer
from app.settings import Settings
from scenes.errors import BadInput

if TYPE_CHECKING:
    from captioner.batches.cleanup import Swept
    from captioner.batches.folder import BatchFolder
    from captioner.engines.engine import Describer
    from captioner.pipeline.lookup import Known
    from captioner.pipeline.run import Plan, Redact
    from captioner.pipeline.stop import Stop
    from captioner.pipeline.tally import Tally
    from captioner.sources import Item
    from scenes.recipe import CaptionRecipe


@contextmanager
def open_describer(choice: EngineChoice) -> Iterator["Describer"]:
    """The engine that is asked for, closed at the end. Raises what `choose_engine` and `make_describer` raise."""
    keep_caches(Settings().home)
    chosen = choose_engine(choice.engine, None)
    describer = make_describer(chosen, choice.model, list(choice.options), consent=choice.consent)
    try:
        yield describer
    finally:
        describer.close()


def whole_recipe(describer: "Describer", options: CaptionOptions) -> "CaptionRecipe":
    """The engine's recipe and the gates that were asked for."""
    from captioner.images.near_duplicates import POLICY as NEAR
    from captioner.redaction.policy import POLICY
    from scenes.recipe import Verification

    mode = options.verify or ("mark" if describer.recipe.engine == "vllm" else "off")
    verification = Verification(mode=mode, floor=options.floor) if mode != "off" else Verification()
    redaction = POLICY if options.redact == "personal" else None
    update = {"verification": verification, "redaction": redaction, "exif": options.exif_names}
    update |= {"near_duplicates": NEAR if options.near_duplicates else None}
    return describer.recipe.model_copy(update=update)


def plan(recipe: "CaptionRecipe", options: CaptionOptions | None = None, *, round_: int = 0) -> "Plan":
    """The bounds that were asked for and the recipe's redaction. Raises `EnvironmentMissing` where it can't run."""
    from captioner.pipeline.run import Plan

    hours = options.budget_hours if options else None
    return Plan(
        budget_tokens=options.budget_tokens if options else None,
        budget_seconds=hours * 3_600 if hours is not None else None,
        round=round_,
        redact=_redact(recipe),
    )


def caption_source(
    source: str,
    describer: "Describer",
    folder: "BatchFolder",
    options: CaptionOptions,
    stop: "Stop",
    known: "Known | None" = None,
) -> "Tally":
    """Caption a source into a folder, with a progress line and a journal for other terminals."""
    from captioner.pipeline.progress import Journal
    from captioner.pipeline.run import caption
    from captioner.sources import Shard, items

    shard = Shard.parse(options.shard)
    found: Iterable[Item] = islice(shard.of(items(source)), options.limit)
    journal = Journal(folder, source, shard, options.engine_options or ())
    with output.progress("describing") as tick:
        tally = caption(
            found,
            describer,
            folder,
            plan=plan(folder.recipe, options),
            known=known,
            stop=stop,
            tick=tallies.ticker(tick, journal),
        )
    if tally.ended_by is None and tally.inputs == options.limit:
        tally.ended_by = "limit"
    journal.end(tally)
    return tally


def sweep_source(source: str, folder: "BatchFolder", options: CaptionOptions) -> "Swept | None":
    """Delete what may be deleted, where that was asked for, and say what became of it."""
    from captioner.batches.cleanup import sweep
    from captioner.sources import Shard, items

    if not options.delete_source:
        return None
    swept = sweep(Shard.parse(options.shard).of(items(source)), folder, options.grace_period)
    output.say(f"sources: {swept.deleted} deleted, {swept.waiting} in their grace period, {swept.kept} kept")
    return swept


def _redact(recipe: "CaptionRecipe") -> "Redact | None":
    if recipe.redaction is None:
        return None
    from captioner.redaction.loading import LateRedactor
    from captioner.redaction.policy import PROSE, READ

    return LateRedactor(READ if recipe.engine == "basic" else PROSE)


def batch_folder(out: Path, recipe: "CaptionRecipe") -> "BatchFolder":
    """The folder of a recipe's batches."""
    from captioner.batches.folder import BatchFolder

    return BatchFolder.for_recipe(out, recipe)


def retry_all(batches: list["BatchFolder"], reason: str, engine_options: list[str], *, consent: bool) -> "Tally":
    """Try again, recipe by recipe, what ended for a reason."""
    from captioner.pipeline.tally import Tally

    total = Tally()
    for folder in batches:
        if total.ended_by is None:
            total = total + _retry(folder, reason, engine_options, consent=consent)
    return total


def _retry(folder: "BatchFolder", reason: str, engine_options: list[str], *, consent: bool) -> "Tally":
    from captioner.batches.id_table import IdTable
    from captioner.batches.retry import items_again, next_round, wanted
    from captioner.pipeline.progress import last_engine_options
    from captioner.pipeline.run import caption
    from captioner.pipeline.stop import Stop
    from captioner.pipeline.tally import Tally

    if next(wanted(folder, reason), None) is None:
        return Tally()
    recipe = folder.recipe
    words = (*last_engine_options(folder), *recipe_options(recipe), *engine_options)
    choice = EngineChoice(recipe.engine, _model(recipe), words, consent)
    with open_describer(choice) as describer:
        _check_same(describer, recipe)
        warmer = replace(plan(recipe, round_=next_round(folder)), first_attempt=2)
        with Stop().on_signals() as stop, output.progress("trying again") as tick:
            again = items_again(folder, reason)
            show = tallies.ticker(tick)
            return caption(again, describer, folder, plan=warmer, stop=stop, tick=show, finished=IdTable())


def recipe_options(recipe: "CaptionRecipe") -> list[str]:
    """The engine options that a recipe remembers, as words of a command line."""
    if recipe.engine == "basic":
        return []
    named = dict(recipe.options) if recipe.engine == "vllm" else {}
    named |= {"max_tokens": recipe.sampling.max_tokens}
    named |= {"revision": recipe.revision} if recipe.revision else {}
    return [f"--{name.replace('_', '-')}={json.dumps(value)}" for name, value in named.items()]


def _model(recipe: "CaptionRecipe") -> str | None:
    return None if recipe.engine == "basic" else recipe.model


_OURS = ("verification", "redaction", "near_duplicates", "exif")
"""What a recipe says of the pipeline, not of the engine."""


def _check_same(describer: "Describer", recipe: "CaptionRecipe") -> None:
    gates = {name: getattr(recipe, name) for name in _OURS}
    if describer.recipe.model_copy(update=gates) != recipe:
        raise BadInput(
            "recipe_differs",
            "the engine that is here would describe under another recipe than these batches",
            fix="use the version and options the batches were made with, or caption anew into the same folder",
        )

"""The options of captioning, said once for every command that captions."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from typing import Annotated, Any, Literal, get_type_hints

import typer

from app.cli.options import ConsentOption, EngineOption, EngineOptions, ModelOption
from app.cli.wiring import EngineChoice, engine_name
from scenes.errors import BadInput

Verify = Literal["off", "mark", "drop"]
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class CaptionOptions:
    """What to caption with and how far to go."""

    engine_options: EngineOptions = None
    engine: EngineOption = None
    model: ModelOption = None
    consent: ConsentOption = False
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Only part I of N, by a hash of each URI.")
    ] = None
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many images.")] = None
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", min=1, help="Stop cleanly once so many tokens were used.")
    ] = None
    budget_hours: Annotated[
        float | None, typer.Option("--budget-hours", min=0.0, help="Stop cleanly after so many hours.")
    ] = None
    verify: Annotated[
        Verify | None,
        typer.Option(
            "--verify",
            help="Look again at each stated object; mark or drop what has little support. "
            "Default: mark with the vllm engine, else off.",
        ),
    ] = None
    floor: Annotated[
        float, typer.Option("--floor", min=0.0, max=1.0, help="Support under which a claim is marked or dropped.")
    ] = 0.5
    redact: Annotated[
        Literal["personal", "none"],
        typer.Option("--redact", help="personal: names, contacts and identifiers leave every field."),
    ] = "personal"
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates", help="Images that look the same share one description.")
    ] = False
    keep_exif: Annotated[
        str | None,
        typer.Option("--keep-exif", metavar="NAMES", help="EXIF tags to keep, such as DateTimeOriginal,Model."),
    ] = None
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="Delete each file once its description is durable.")
    ] = False
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="How old a description must be before, such as 12h or 7d.")
    ] = "0s"

    @property
    def choice(self) -> EngineChoice:
        """The engine asked for. Raises `BadInput` (`engine_unknown`)."""
        return EngineChoice(engine_name(self.engine), self.model, tuple(self.engine_options or ()), self.consent)

    @property
    def exif_names(self) -> tuple[str, ...]:
        """The tags to keep, sorted. Raises `BadInput` (`exif_unknown`)."""
        from captioner.images.exif import NAMES

        names = tuple(sorted({name.strip() for name in (self.keep_exif or "").split(",")} - {""}))
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            raise BadInput("exif_unknown", f"there is no EXIF tag {unknown[0]!r}", fix="such as DateTimeOriginal,Model")
        return names

    @property
    def grace_period(self) -> timedelta:
        """Raises `BadInput` (`grace_invalid`)."""
        number, unit = self.grace[:-1], self.grace[-1:]
        if unit not in _UNITS or not number.isdecimal():
            raise BadInput("grace_invalid", f"{self.grace!r} is no time", fix="a number and s, m, h or d: 12h, 7d")
        return timedelta(seconds=int(number) * _UNITS[unit])


def with_caption_options(command: Callable[..., int]) -> Callable[..., int]:
    """A command whose parameter `options: CaptionOptions` is given on the command line as its fields."""
    hints = get_type_hints(CaptionOptions, include_extras=True)
    given = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[one.name],
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
        )
        for one in fields(CaptionOptions)
    ]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "options"
    ]

    def run(**values: Any) -> int:
        mine = {parameter.name: values.pop(parameter.name) for parameter in given}
        return command(**values, options=CaptionOptions(**mine))

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([*own, *given])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *given)} | {"return": int}
    return run

"""The one command, `wordsight`: a composition root. Each command is a small file that imports its room lazily."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer

from app.cli import output, stopping
from scenes.errors import WordsightError
from scenes.host.private_files import restrict_new_files

COMMANDS: tuple[str, ...] = (
    "ingest",
    "search",
    "serve",
    "worker",
    "caption",
    "publish",
    "gone",
    "import_",
    "collection",
    "index",
    "snapshot",
    "restore",
    "key",
    "audit",
    "feedback",
    "models",
    "doctor",
    "demo",
    "eval",
    "calibrate",
    "schema",
)
"""Modules of this package, in the order of `--help`; each has `register(cli: typer.Typer) -> None`."""

_SHARED = {"calibrate", "caption", "models"}
"""These commands write where the user says, for other machines and users too: the umask decides who may read it."""

_Misuse: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

_EPILOG = "Exit codes: 0 done · 1 done, some failed · 2 wrong usage or input · 3 something missing · 130 stopped."


def build() -> typer.Typer:
    """The command with all its subcommands."""
    cli = typer.Typer(
        name="wordsight",
        help="Find images by words without looking at them.",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    cli.callback()(_root)
    for name in COMMANDS:
        importlib.import_module(f"app.cli.{name}").register(cli)
    return cli


def _root() -> None:
    """Find images by words without looking at them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not set(given[:1]) & _SHARED:
        restrict_new_files()
    with stopping.stoppable():
        stopping.leave(run(given))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code and turns the error family into clear messages."""
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(build()).main(args=arguments, prog_name="wordsight", standalone_mode=False)
    except WordsightError as failure:
        output.error(failure, as_json)
        return failure.exit_code
    except _Misuse as misuse:
        misuse.show()
        return int(misuse.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = output.INTERRUPTED
    if code == output.INTERRUPTED and stopping.stopped_at() is not None:
        output.say("stopped; run the same command again to go on")
    return int(code or 0)

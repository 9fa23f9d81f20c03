"""What a command prints: its result on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scenes.errors import WordsightError

INTERRUPTED = 130
"""Exit code of a command that was stopped and can be run again."""

_messages = Console(stderr=True, highlight=False, soft_wrap=True)


def result(as_json: bool, body: BaseModel | Mapping[str, Any], text: str) -> None:
    """Print a command's result: one JSON object with `--json`, else `text` for people."""
    plain = body.model_dump(mode="json") if isinstance(body, BaseModel) else dict(body)
    sys.stdout.write((json.dumps(plain, ensure_ascii=False) if as_json else text) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A message to the person, on standard error."""
    _messages.print(text, markup=False)


def error(failure: WordsightError, as_json: bool) -> None:
    """One clear message and what to do next; with `--json` the same as an object on standard output."""
    say(f"error: {failure}")
    if failure.fix:
        say(f"  fix: {failure.fix}")
    if as_json:
        body = {"code": failure.code, "message": str(failure), "fix": failure.fix}
        result(True, {"error": body}, "")


class Tick(Protocol):
    """Tells how far a long work is."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None: ...


@contextmanager
def progress(title: str) -> Iterator[Tick]:
    """A progress bar on a terminal, a plain line every tenth elsewhere."""
    if _messages.is_terminal:
        with _bar() as bar:
            task = bar.add_task(title, total=None)

            def draw(done: int, total: int | None, note: str = "") -> None:
                bar.update(task, completed=done, total=total, description=f"{title} {note}".rstrip())

            yield draw
    else:
        yield _plain_lines(title)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=_messages, transient=True)


def _plain_lines(title: str) -> Tick:
    last_tenth = -1

    def line(done: int, total: int | None, note: str = "") -> None:
        nonlocal last_tenth
        tenth = done * 10 // total if total else done // 1_000
        if tenth != last_tenth:
            last_tenth = tenth
            say(f"{title}: {done}/{total or '?'} {note}".rstrip())

    return line

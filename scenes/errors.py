"""One error family with stable codes.

Every error a user can meet is a `WordsightError`: a stable `code`, one sentence of what happened and, where
there is one, the `fix`: what to do next. The command line turns the class into an exit code, the server into an
HTTP status; nobody parses messages. `retry_after_s` is there where it passes by itself. `detail` is for the operator:
paths, addresses and names of this system. It is part of `str(error)`, which the command line and logs show; HTTP
answers have the `message` alone.
"""

import traceback
from typing import ClassVar

_FRAMES = -20
"""The innermost."""


class WordsightError(Exception):
    """The root of the family: `code` never changes once released, `message` may be reworded."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fix: str | None = None,
        retry_after_s: float | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(f"{message}: {detail}" if detail else message)
        self.code = code
        self.message = message
        self.fix = fix
        self.retry_after_s = retry_after_s


class BadInput(WordsightError):
    """What was asked can't be done as asked: wrong usage, malformed data."""

    exit_code = 2


class NotFound(BadInput):
    """A named thing (collection, image, key, release) does not exist."""


class Conflict(BadInput):
    """The thing exists already, or changed in between."""


class Outdated(Conflict):
    """The thing changed since it was read; reading it again shows how."""


class Unauthenticated(WordsightError):
    """No key, or a key that is unknown, revoked or expired."""

    exit_code = 2


class Forbidden(WordsightError):
    """A good key that may not do this."""

    exit_code = 2


class EnvironmentMissing(WordsightError):
    """Something outside this program is absent or does not answer: Postgres, a GPU, an engine, weights."""

    exit_code = 3


class Overloaded(WordsightError):
    """Too much at once; try again after `retry_after_s` seconds."""

    def __init__(self, code: str, message: str, *, retry_after_s: float, fix: str | None = None) -> None:
        super().__init__(code, message, fix=fix, retry_after_s=retry_after_s)


class Corrupt(WordsightError):
    """Stored bytes are not what their checksum says."""


def trace_of(error: BaseException) -> str:
    """Where an error was raised and of which class it is, then the same of its causes and of the errors in its group.

    Its message is left out: it may quote a query.
    """
    frames = "".join(traceback.format_tb(error.__traceback__, _FRAMES))
    return "\n".join([f"{frames}{type(error).__qualname__}", *map(trace_of, _inner(error))])


def _inner(error: BaseException) -> list[BaseException]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [*grouped, *([cause] if cause else [])]

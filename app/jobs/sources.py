"""Which sources a REST client may name: what the operator allowed, and nothing beside it.

The rule is about names; a worker asks it again of what a name really is, links followed (`app/cli/guarding.py`).
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from scenes.errors import Forbidden

_ABOVE = ".."
_CHAINED = "::"


def check_source(source: str, allowed: Sequence[str]) -> None:
    """Raises `Forbidden` (`source_not_allowed`)."""
    if not is_allowed(source, allowed):
        raise Forbidden(
            "source_not_allowed",
            "jobs may not read this source",
            fix="name one below WORDSIGHT_JOB_SOURCES, which the operator sets, or upload the images",
        )


def is_allowed(source: str, allowed: Sequence[str]) -> bool:
    """Is a path or URL one of `allowed`, or below one? A name that climbs (`..`) or chains (`::`) never is."""
    if _CHAINED in source or "\\" in source or not source.isprintable():
        return False
    return any(_is_url_below(source, one) if "://" in one else _is_path_below(source, one) for one in allowed)


def _is_path_below(source: str, root: str) -> bool:
    if "://" in source or not source.startswith("/") or not root.startswith("/"):
        return False
    return _is_below(source, root)


def _is_url_below(source: str, root: str) -> bool:
    try:
        given, wanted = urlsplit(source), urlsplit(root)
        same = (given.scheme, given.netloc.lower(), given.port) == (wanted.scheme, wanted.netloc.lower(), wanted.port)
    except ValueError:
        return False
    return same and "@" not in given.netloc and _is_below(unquote(given.path), unquote(wanted.path))


def _is_below(path: str, root: str) -> bool:
    parts, wanted = PurePosixPath(path).parts, PurePosixPath(root).parts
    return _ABOVE not in parts and parts[: len(wanted)] == wanted

"""Which sources a job over REST may name: what the operator allowed, and what is below it.

This rule is about names, and the only one: a client's request is checked against it before a job is queued, and a
worker checks every URL against it before it is fetched. What a path on disk really is, links followed, is checked where
it is opened (`captioner.sources.guard`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from scenes.errors import Forbidden

_CHAINED = "::"
_CLIMBS = {".", ".."}
_WEB = {"http": 80, "https": 443}
_STORES = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "abfs", "abfs": "abfs", "abfss": "abfs", "oss": "oss",
    "obs": "obs", "oci": "oci", "memory": "memory",
}  # fmt: skip
"""Object stores by their schemes: they have neither links nor redirects, so a name below a prefix stays below it."""
_MOST_DECODINGS = 5


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a URL leads: `server` is scheme, host and port, or scheme and bucket; `paths` are the segments of its path,
    once for each way in which a server may decode it."""

    server: tuple[str | int, ...]
    paths: tuple[tuple[str, ...], ...]


def check_source(source: str, allowed: Sequence[str]) -> None:
    """Raises `Forbidden` (`source_not_allowed`)."""
    if not is_allowed(source, allowed):
        raise not_allowed()


def not_allowed() -> Forbidden:
    """The error for a source that jobs may not read."""
    return Forbidden(
        "source_not_allowed",
        "jobs may not read this source",
        fix="name one below WORDSIGHT_JOB_SOURCES, which the operator sets, or upload the images",
    )


def is_allowed(source: str, allowed: Sequence[str]) -> bool:
    """Is a path or URL one of `allowed`, or below one? A name that climbs (`..`) or chains (`::`) never is."""
    if not source.isprintable() or source != source.strip() or "\\" in source:
        return False
    if "://" not in source:
        return _CHAINED not in source and any(_is_path_below(source, one) for one in allowed if "://" not in one)
    given = _place(source)
    return given is not None and any(_is_url_below(given, _place(one)) for one in allowed if "://" in one)


def checked_root(root: str) -> str:
    """An entry of the list of what is allowed. Raises `ValueError` where nothing could ever be below it."""
    if "://" in root and _place(root) is None:
        names = ", ".join(sorted({*_WEB, *_STORES} - {"memory"}))
        raise ValueError(
            f"{root!r} is no URL that jobs can be allowed to read; schemes: {names}; xn--… for ü and the like"
        )
    if "://" not in root and (not root.startswith("/") or _CLIMBS & set(root.split("/"))):
        raise ValueError(f"{root!r} is neither an absolute path nor a URL")
    return root


def is_web(url: str) -> bool:
    """Is this a URL that is fetched over HTTP?"""
    return _scheme(url) in _WEB


def _is_path_below(source: str, root: str) -> bool:
    parts, wanted = PurePosixPath(source).parts, PurePosixPath(root).parts
    return root.startswith("/") and ".." not in parts and parts[: len(wanted)] == wanted


def _is_url_below(given: _Place, root: _Place | None) -> bool:
    if root is None or given.server != root.server:
        return False
    return all(any(path[: len(wanted)] == wanted for wanted in root.paths) for path in given.paths)


@lru_cache(maxsize=256)
def _place(url: str) -> _Place | None:
    """None for what is no plain URL of a web server or an object store."""
    scheme = _scheme(url)
    try:
        return _on_web(scheme, urlsplit(url)) if scheme in _WEB else _in_store(scheme, url)
    except ValueError:
        return None


def _on_web(scheme: str, url: SplitResult) -> _Place | None:
    host = _host(url)
    readings = _readings(url.path)
    chained = _CHAINED in url.path + url.query + url.fragment
    if not host or chained or any("\\" in one or not one.isprintable() for one in readings):
        return None
    paths = tuple(_segments(one) for one in readings)
    if any(_CLIMBS & set(path) for path in paths):
        return None
    return _Place((scheme, host, _WEB[scheme] if url.port is None else url.port), paths)


def _host(url: SplitResult) -> str | None:
    """The host, lower-case; None where there is a user, or letters beyond ASCII, which libraries fold differently."""
    if set("@%") & set(url.netloc) or not url.netloc.isascii() or not url.hostname:
        return None
    return ip_address(url.hostname).compressed if ":" in url.hostname else url.hostname


def _readings(path: str) -> tuple[str, ...]:
    """A path decoded once, as a server does, and decoded to its end, as a server behind a proxy may.

    Raises `ValueError` for one that is encoded over and over.
    """
    once = last = unquote(path)
    for _ in range(_MOST_DECODINGS):
        further = unquote(last)
        if further == last:
            return (once,) if last == once else (once, last)
        last = further
    raise ValueError("encoded over and over")


def _in_store(scheme: str, url: str) -> _Place | None:
    """In a store's URL every character counts: `?`, `#` and `%` are part of a name there."""
    if scheme not in _STORES or _CHAINED in url:
        return None
    bucket, _, key = url.partition("://")[2].lstrip("/").partition("/")
    path = tuple(key.rstrip("/").split("/")) if key.rstrip("/") else ()
    if not bucket or "@" in bucket or {*_CLIMBS, ""} & set(path):
        return None
    return _Place((_STORES[scheme], bucket), (path,))


def _segments(path: str) -> tuple[str, ...]:
    trimmed = path.removeprefix("/").rstrip("/")
    return tuple(trimmed.split("/")) if trimmed else ()


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()

"""What a job that came over REST may read: what the operator allowed, links followed, redirects not."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.jobs.sources import check_source, is_allowed

if TYPE_CHECKING:
    from captioner.sources import Item


def check_real(source: str, allowed: Sequence[str]) -> None:
    """Is a source allowed, by its name and by what it really is? Raises `Forbidden` (`source_not_allowed`)."""
    check_source(source, allowed)
    if "://" not in source and Path(source).exists():
        check_source(_real(source), _real_roots(allowed))


def guarded(found: "Iterable[Item]", allowed: Sequence[str]) -> "Iterator[Item]":
    """The same items; those that lie elsewhere (through a link or a list file) can't be read."""
    from captioner.sources import Item, container
    from captioner.sources.web import web_item

    roots = _real_roots(allowed)
    for item in found:
        outer = container(item.uri)
        if outer.startswith(("http://", "https://")) and is_allowed(outer, allowed):
            yield web_item(item.uri, redirects=False) if outer == item.uri else item
        elif is_allowed(outer if "://" in outer else _real(outer), roots):
            yield item
        else:
            yield Item(item.uri, _refused)


def _real_roots(allowed: Sequence[str]) -> tuple[str, ...]:
    return tuple(one if "://" in one else _real(one) for one in allowed)


def _real(path: str) -> str:
    return str(Path(path).resolve())


def _refused(_limit_bytes: int) -> bytes:
    raise PermissionError(13, "not below what jobs may read")

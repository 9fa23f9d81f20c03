"""Images behind HTTP(S) URLs, with a time limit, a size limit and a few tries."""

import ssl
import time
from functools import cache
from http import HTTPStatus

import httpx

from captioner.sources.item import Item

_TIMEOUT_S = 30.0
_TRIES = 3
_FIRST_WAIT_S = 0.5


def web_item(url: str, *, redirects: bool = True) -> Item:
    """The image at a URL; without `redirects` an answer that leads elsewhere is a read that failed."""
    return Item(url, lambda limit_bytes: _read(url, limit_bytes, redirects))


def _read(url: str, limit_bytes: int, redirects: bool) -> bytes:
    for attempt in range(_TRIES):
        try:
            return _get(url, limit_bytes, redirects)
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            fault: Exception = error
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < HTTPStatus.TOO_MANY_REQUESTS:
                break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = error
            break
        if attempt + 1 < _TRIES:
            time.sleep(_FIRST_WAIT_S * 2**attempt)
    raise OSError(_told(fault)) from fault


def _get(url: str, limit_bytes: int, redirects: bool) -> bytes:
    parts, size = [], 0
    with (
        httpx.Client(timeout=_TIMEOUT_S, follow_redirects=redirects, verify=_trust()) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > limit_bytes:
                break
    return b"".join(parts)[: limit_bytes + 1]


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _told(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered {error.response.status_code}"
    return f"{type(error).__name__}"

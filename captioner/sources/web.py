"""Images behind HTTP(S) URLs, with time limits, a size limit and a few tries."""

import ssl
import time
import zlib
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus

import httpx

from captioner.sources.guard import Guard, refused
from captioner.sources.item import Item

_TIMEOUT_S = 30.0
_MOST_S = 300.0
"""So long one image may take in all, however slowly its server sends."""
_TRIES = 3
_FIRST_WAIT_S = 0.5
_ANY_HEADER = 47
"""zlib's number for: gzip or zlib, as the data say."""


def web_item(url: str, guard: Guard) -> Item:
    """The image at a URL; where a guard follows no redirects, an answer that leads elsewhere is a read that failed."""
    return Item(url, lambda limit_bytes: _read(url, limit_bytes, guard))


def _read(url: str, limit_bytes: int, guard: Guard) -> bytes:
    for attempt in range(_TRIES):
        try:
            return _get(url, limit_bytes, guard)
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


def _get(url: str, limit_bytes: int, guard: Guard) -> bytes:
    """What is requested is checked as the client reads it, not as it is written."""
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=guard.follows_redirects, verify=_trust()) as client:
        request = client.build_request("GET", url, headers={"Accept-Encoding": "identity"})
        if not (guard.permits_url(url) and guard.permits_url(str(request.url))):
            return refused(limit_bytes)
        response = client.send(request, stream=True)
        try:
            response.raise_for_status()
            return b"".join(_body(response, limit_bytes + 1))
        finally:
            response.close()


def _body(response: httpx.Response, most: int) -> Iterator[bytes]:
    """The first bytes of an answer, decompressed no further. Raises `OSError` where it takes too long."""
    until, size = time.monotonic() + _MOST_S, 0
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", "deflate"}:
        raise OSError(f"the server answered in the encoding {encoding!r}, which was not asked for")
    unpacking = None if encoding == "identity" else zlib.decompressobj(_ANY_HEADER)
    for raw in response.iter_raw():
        part = raw[: most - size] if unpacking is None else _unpacked(unpacking, raw, most - size)
        size += len(part)
        yield part
        if size >= most:
            return
        if time.monotonic() > until:
            raise OSError(f"the server took longer than {_MOST_S:g} s")


def _unpacked(unpacking: "zlib._Decompress", raw: bytes, most: int) -> bytes:
    try:
        return unpacking.decompress(raw, most)
    except zlib.error as error:
        raise OSError(f"the answer can't be decompressed: {error}") from error


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _told(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered {error.response.status_code}"
    return f"{type(error).__name__}"

"""Which requests may use a session: those that this server's own pages send.

A browser sends the cookie with whatever asks for it. `SameSite=Strict` keeps other sites out, but another port of the
same host is the same site. So a request that may change something must also name this server's origin: scheme, host and
port as the browser sees them, which a proxy passes on (`Host`, and `X-Forwarded-Proto` where it is trusted).
"""

from collections.abc import Mapping

from scenes.errors import Forbidden

_CHANGE_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS = {"http": ":80", "https": ":443"}
_ORIGIN_PARTS = 3


def check_origin(method: str, headers: Mapping[bytes, bytes], scheme: str) -> None:
    """Raises `Forbidden` (`origin_not_allowed`) for a request that a session may not be used for."""
    if not is_own(method, headers, scheme):
        raise Forbidden(
            "origin_not_allowed",
            "this request does not come from a page of this server",
            fix="send it from a page of this server, or with an API key and no cookie; a proxy must pass on Host, and"
            " X-Forwarded-Proto to a server that is started with --trust-proxy",
        )


def is_own(method: str, headers: Mapping[bytes, bytes], scheme: str) -> bool:
    """Does a request change nothing, or come from this server's origin?

    `Origin` decides. Where a request has none, `Sec-Fetch-Site` does, else `Referer`. Every browser sends one of them;
    a request that has none of them is refused.
    """
    if method in _CHANGE_NOTHING:
        return True
    own = _written(f"{scheme}://{_text(headers, b'host')}")
    if b"origin" in headers:
        return _written(_text(headers, b"origin")) == own
    if b"sec-fetch-site" in headers:
        return headers[b"sec-fetch-site"] == b"same-origin"
    return _written("/".join(_text(headers, b"referer").split("/")[:_ORIGIN_PARTS])) == own


def _written(origin: str) -> str:
    """An origin in its one spelling: lower case, without the port that its scheme has by default."""
    origin = origin.lower()
    return origin.removesuffix(_PORTS.get(origin.partition("://")[0], ""))


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")

"""Which server answers, without anything secret: part of a recipe, since another server may hold other weights."""

from urllib.parse import urlsplit

from scenes.errors import BadInput

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Scheme, host and port of a URL; no user, password, path or query.

    Raises `BadInput` (`engine_option_invalid`) without telling the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        host = None
    if not host:
        raise BadInput(
            "engine_option_invalid", "the base URL can't be read", fix="-- --base-url http://HOST:PORT/v1"
        ) from None
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"

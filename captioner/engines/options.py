"""Options after `--`: `--tensor-parallel-size 2 --enforce-eager` as keyword arguments for an engine."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from scenes.errors import BadInput

_PORTS = {"http": 80, "https": 443}
_SECRET = ("key", "token", "password", "secret")


def parse(words: Sequence[str]) -> dict[str, Any]:
    """Names with underscores to values; a value is JSON where it parses, a word otherwise, true where left out.

    Raises `BadInput` (`engine_option_invalid`).
    """
    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise BadInput(
                "engine_option_invalid", f"{word!r} is no option", fix="write engine options as --name value"
            )
        name, separator, value = word[2:].partition("=")
        if not separator:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        options[name.replace("-", "_")] = _value(value)
    return options


def tellable(words: Sequence[str]) -> list[str]:
    """The options that may be written down for a later run: none that looks like a secret or holds a password.

    Raises `BadInput` (`engine_option_invalid`).
    """
    kept = {name: value for name, value in parse(words).items() if not _is_secret(name, value)}
    return [f"--{name.replace('_', '-')}={json.dumps(value)}" for name, value in kept.items()]


def origin(url: str) -> str:
    """Scheme, host and port of a server's URL; no user, password, path or query.

    Part of a recipe, since another server may hold other weights.

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


def _is_secret(name: str, value: Any) -> bool:
    return any(word in name for word in _SECRET) or (isinstance(value, str) and "@" in value)


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word

"""API keys, login tokens and session cookies: random secrets of which only an HMAC is ever stored."""

import contextlib
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scenes.artifact import write_file
from scenes.catalog.keys import EVERY_COLLECTION, KeyRow, Scope
from scenes.errors import BadInput

KEY_PREFIX = "ws_"
_SECRET_FILE = "secret"  # noqa: S105 - a file's name
_SECRET_BYTES = 32
_SESSION_BYTES = 16
_ALLOWS: dict[Scope, frozenset[Scope]] = {
    "search": frozenset({"search"}),
    "ingest": frozenset({"search", "ingest"}),
    "admin": frozenset({"search", "ingest", "admin"}),
}


@dataclass(frozen=True, slots=True)
class Session:
    """A login of a person in one browser."""

    session_id: str
    key_id: str
    expires_at: datetime


class Secret:
    """The server's secret: everything that is handed out is checked against an HMAC under it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def load(cls, home: Path, given: str | None = None) -> "Secret":
        """The given secret (at least 32 characters), else the one in the data folder, made on first use."""
        if given is not None:
            if len(given) < _SECRET_BYTES:
                raise BadInput("secret_too_short", f"WORDSIGHT_SECRET needs {_SECRET_BYTES} characters or more")
            return cls(given.encode())
        path = home / _SECRET_FILE
        if not path.is_file():
            _make_private(path, secrets.token_bytes(_SECRET_BYTES))
        return cls(path.read_bytes())

    def digest(self, purpose: str, text: str) -> bytes:
        """HMAC-SHA-256 of a text for one purpose."""
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256)

    def sign_session(self, key_id: str, expires_at: float) -> str:
        """A cookie value: a new session of a key, until a time (seconds since 1970)."""
        body = f"{key_id}.{secrets.token_hex(_SESSION_BYTES)}.{int(expires_at)}"
        return f"{body}.{self.digest('session', body).hex()}"

    def read_session(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it was forged or has expired. Whether it was ended is not known here."""
        body, _, signature = cookie.rpartition(".")
        expected = self.digest("session", body).hex()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return None
        key_id, session_id, expires_at = body.split(".")
        session = Session(session_id, key_id, datetime.fromtimestamp(int(expires_at), UTC))
        return session if session.expires_at >= datetime.now(UTC) else None


def new_key() -> str:
    """A fresh API key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_token() -> str:
    """A fresh one-time login token: 256 random bits."""
    return secrets.token_urlsafe(32)


def may(key: KeyRow, scope: Scope, collection: str | None) -> bool:
    """May a key do what `scope` names in a collection (None: in no particular one)?"""
    everywhere = key.collection == EVERY_COLLECTION
    return scope in _ALLOWS[key.scope] and (everywhere or collection == key.collection)


def _make_private(path: Path, data: bytes) -> None:
    """Make a file that its owner alone can read; where several processes make it at once, the first one's stays."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(16)}")
    try:
        write_file(beside, data)
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)

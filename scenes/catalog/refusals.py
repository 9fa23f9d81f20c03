"""What a Postgres that can't be used says, and what to do about it."""

import re

from scenes.errors import BadInput, EnvironmentMissing, Overloaded, WordsightError

_BUSY = {"57014", "55P03", "40P01"}  # statement time-out, lock time-out, deadlock
_LIMIT_EXCEEDED = "54"
_NOT_YET = ("the database system is", "terminating connection")  # starting up, shutting down, in recovery mode
_BACK_IN_S = 2.0
"""A Postgres that was killed has recovered in about so long."""
_SAID = re.compile(r"(?:FATAL|ERROR):\s+(.*)")
USE_A_SESSION = (
    "name Postgres itself in DATABASE_URL, usually on port 5432; or set pool_mode = session for this database in"
    " pgbouncer.ini"
)
_FIXES = (
    (
        "no such database|database .* does not exist",
        "create it: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
    ),
    ("bouncer config error", "check the database in DATABASE_URL: pgbouncer.ini names it below [databases]"),
    ("permission denied for database", "let its owner run: GRANT CONNECT ON DATABASE name TO user"),
    ("unsupported startup parameter", "PgBouncer stands between: leave options and other settings out of DATABASE_URL"),
    ("pooling mode", USE_A_SESSION),
    ("too many|connection slots|query_wait_timeout|no more connections", "raise max_connections, or the pool size"),
    (
        "password|role .* does not exist|no such user|pg_hba|authentication",
        "check the user and password in DATABASE_URL",
    ),
)
_GRANT = (
    "let the owner of the database run: ALTER DATABASE name OWNER TO user; and where another user owns the tables:"
    " GRANT ALL ON ALL TABLES IN SCHEMA public TO user; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO user"
)
_BY_STATE = {
    "42501": (
        "postgres_forbidden",
        "the database user lacks a privilege",
        _GRANT,
    ),
    "25006": (
        "postgres_read_only",
        "this Postgres takes no writes: it is a standby, or set to read-only",
        "name the primary in DATABASE_URL, or set default_transaction_read_only = off for the user and the database",
    ),
    "3F000": (
        "postgres_no_schema",
        "the database user has no schema to create tables in",
        "ALTER ROLE user SET search_path = public, or create the schema that its search_path names",
    ),
    "53100": ("postgres_disk_full", "the disk of Postgres is full", "make room where Postgres keeps its data"),
    "53200": ("postgres_out_of_memory", "Postgres has no memory left", "give the server of Postgres more memory"),
}


def refusal(error: BaseException) -> WordsightError | None:
    """What Postgres said by its SQLSTATE; None where that says nothing that anyone can mend.

    A server that is busy is not a server that is away.
    """
    state = _state(error)
    if state in _BUSY:
        return Overloaded("postgres_busy", "Postgres took too long: a time limit was reached", retry_after_s=1.0)
    if state is not None and state.startswith(_LIMIT_EXCEEDED):
        return BadInput("too_large_to_store", "a text is larger than Postgres can index", fix="send a shorter one")
    if state not in _BY_STATE:
        return None
    code, message, fix = _BY_STATE[state]
    return EnvironmentMissing(code, message, fix=fix, detail=_lines(error)[0])


def unreachable(error: BaseException) -> EnvironmentMissing:
    """For a Postgres that can't be had: it does not answer, or it answers and refuses the connection."""
    lines = _lines(error)
    said = _SAID.search("\n".join(lines))
    words = said[1].strip() if said else lines[0]
    if words.startswith(_NOT_YET):
        return _unreachable(f"Postgres: {words}", "try again in a few seconds", None)
    fix = next((fix for known, fix in _FIXES if re.search(known, words)), None)
    if said or fix:
        return _unreachable("Postgres refuses the connection", fix or "check what DATABASE_URL names", words)
    fix = "check DATABASE_URL and that it runs; without DATABASE_URL an embedded one is started"
    return _unreachable("Postgres does not answer", fix, words)


def _unreachable(message: str, fix: str, detail: str | None) -> EnvironmentMissing:
    return EnvironmentMissing("postgres_unreachable", message, fix=fix, retry_after_s=_BACK_IN_S, detail=detail)


def _state(error: BaseException) -> str | None:
    """The SQLSTATE of a driver's error, also where a library wraps it."""
    found = getattr(error, "orig", None) or error
    state = getattr(found, "sqlstate", None) or getattr(found.__cause__, "sqlstate", None)
    return state if isinstance(state, str) else None


def _lines(error: BaseException) -> list[str]:
    return str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]

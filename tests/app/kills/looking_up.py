"""What Postgres holds of what clients did."""

from collections import Counter
from dataclasses import dataclass

import psycopg

_SUMMARIES = "SELECT image_id, body->>'summary' FROM images i JOIN descriptions d ON d.id = i.description_id"
_WRITES = (
    "SELECT action, target FROM audit WHERE action LIKE 'image.%' OR (action LIKE 'job.%' AND action <> 'job.upload')"
)
"""Uploads are looked up by their images: sent again, one is another job."""


@dataclass(frozen=True)
class Found:
    """The current description of each image, the audit log's lines by action and target, and stored searches."""

    summaries: dict[str, str]
    writes: Counter[tuple[str, str]]
    searches: set[str]


def look_up(url: str) -> Found:
    """All of it. A job has no target that a client could know before it was started: those are counted together."""
    with psycopg.connect(url) as connection:
        summaries = dict(connection.execute(_SUMMARIES).fetchall())
        lines = connection.execute(_WRITES).fetchall()
        searches = {str(one) for (one,) in connection.execute("SELECT id FROM searches")}
    writes = Counter((action, "" if action == "job.index" else target) for action, target in lines)
    return Found(summaries, writes, searches)

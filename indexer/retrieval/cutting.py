"""What a search found, cut and joined."""

from collections.abc import Sequence

import numpy as np

from indexer.releases.index_reader import Found


def part(found: Found, start: int, size: int) -> Found:
    """So many of them, from the one at `start` on."""
    return Found(found.rows[start : start + size], found.scores[start : start + size])


def joined(parts: Sequence[Found]) -> Found:
    """One after the other; at least one."""
    if len(parts) == 1:
        return parts[0]
    return Found(np.concatenate([one.rows for one in parts]), np.concatenate([one.scores for one in parts]))

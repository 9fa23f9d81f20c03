"""Good keys are remembered; how many others are in use does not make one a stranger again."""

from datetime import UTC, datetime

from app.keys.service import KeyCache
from scenes.catalog.keys import EVERY_COLLECTION, KeyRow


class Known:
    """Every key is a good one."""

    async def check(self, key: str) -> KeyRow:
        return KeyRow(key, key, EVERY_COLLECTION, "search", datetime.now(UTC), None, None)


async def test_a_key_that_is_used_stays_known_among_many_others() -> None:
    cache = KeyCache(Known())  # type: ignore[arg-type]
    await cache.check("mine")
    for number in range(1_500):
        await cache.check(f"other {number}")
        assert cache.has_seen("mine")
        await cache.check("mine")
    assert not cache.has_seen("other 1")

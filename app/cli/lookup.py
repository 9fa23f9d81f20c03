"""What the catalog knows already, asked by the captioner's threads and answered by the event loop."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scenes.errors import EnvironmentMissing

if TYPE_CHECKING:
    from captioner.pipeline.lookup import Known
    from scenes.catalog.connection import Catalog

_LONGEST_ANSWER_S = 60.0


def known_in(catalog: "Catalog", collection_id: int, fingerprint: str) -> "Known":
    """Which images are described or refused under a recipe; made in the event loop, called in other threads.

    What it gives raises `EnvironmentMissing` (`database_silent`, `postgres_unreachable`).
    """
    from scenes.catalog import publishing

    loop = asyncio.get_running_loop()

    async def ask(image_ids: Sequence[str]) -> set[str]:
        async with catalog.reading() as session:
            return await publishing.known_under(session, collection_id, fingerprint, image_ids)

    def known(image_ids: Sequence[str]) -> set[str]:
        future = asyncio.run_coroutine_threadsafe(ask(image_ids), loop)
        try:
            return future.result(timeout=_LONGEST_ANSWER_S)
        except TimeoutError as error:
            future.cancel()
            raise EnvironmentMissing(
                "database_silent", f"the database gave no answer within {_LONGEST_ANSWER_S:.0f} s", fix="check it"
            ) from error

    return known

"""What is written into a collection that was deleted meanwhile is refused as not found, whatever is written."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from scenes.catalog import collections, embeddings, history, images, jobs, publishing, recall, recipes, releases
from scenes.catalog.connection import Catalog, WriteSession
from scenes.catalog.embeddings import Embedding
from scenes.catalog.publishing import Publication
from scenes.catalog.releases import Release
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import NotFound
from scenes.identity import external_image_id
from scenes.outcome import RefusalReason, Refused
from scenes.recipe import CaptionRecipe, IndexRecipe
from tests.indexer.letters import BagOfLetters

pytestmark = pytest.mark.postgres
IMAGE = external_image_id("cat")
PUBLICATION = Publication(IMAGE, "external", SceneDescription(detail="a cat"), "import", "cat", external_id="cat")
RECIPE = CaptionRecipe(engine="basic", model="m", prompt="p-1")
VECTORS = Embedding(np.ones((1, 32), np.float32), np.zeros((0, 0), np.int8), False)
Write = Callable[[WriteSession, int], Awaitable[object]]


async def add_release(session: WriteSession, number: int) -> None:
    encoder = await recipes.remember_encoder(session, BagOfLetters.recipe)
    made = datetime.now(UTC)
    await releases.add(
        session, Release(uuid.uuid4(), number, encoder, IndexRecipe(kind="exact"), 1, 1, "", "", None, made)
    )


async def record_outcome(session: WriteSession, number: int) -> None:
    recipe = await recipes.remember_caption(session, RECIPE)
    await publishing.record_outcomes(
        session, number, [(Refused(image_id=IMAGE, reason=RefusalReason.EMPTY), None, recipe)]
    )


WRITES: dict[str, Write] = {
    "publish": lambda session, number: publishing.publish(session, number, [PUBLICATION]),
    "lock": collections.lock,
    "generation": collections.next_generation,
    "delete": lambda session, number: images.delete(session, number, [IMAGE]),
    "undo": lambda session, number: history.undo(session, number, IMAGE, 1),
    "vectors": lambda session, number: embeddings.store(session, number, "x", [(1, VECTORS)]),
    "job": lambda session, number: jobs.add(session, uuid.uuid4(), number, "index", None, "key"),
    "recall": lambda session, number: recall.add(session, number, uuid.uuid4(), 10, 10),
    "release": add_release,
    "outcome": record_outcome,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_it_is_not_found(catalog: Catalog, write: Write) -> None:
    async with catalog.writing() as session:
        number = (await collections.create(session, Collection(name="doomed"))).id
        await collections.delete(session, "doomed")
    with pytest.raises(NotFound) as refused:
        async with catalog.writing() as session:
            await write(session, number)
    assert refused.value.code == "collection_unknown"


async def test_a_job_that_is_gone_is_not_given_up(catalog: Catalog) -> None:
    async with catalog.writing() as session:
        await jobs.give_up(session, uuid.uuid4(), {"code": "worker_lost", "message": "", "fix": None})

"""Publishing twice at once, a retry after publishing: one current description an image."""

import asyncio
import json
from pathlib import Path

import pytest

from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable
from captioner.batches.publish import publish
from captioner.batches.retry import items_again, next_round
from captioner.engines.engine import Answer, Reply, Request
from captioner.pipeline.run import Plan, caption
from captioner.sources import items
from scenes.catalog import collections
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import known_under
from scenes.collection import Collection
from tests.captioner.conftest import ScriptedDescriber

pytestmark = [pytest.mark.postgres]


def same(_request: Request) -> Answer:
    return Reply(json.dumps({"detail": "A picture."}), "stop", 10, 5, 0.0)


async def made(catalog: Catalog) -> int:
    async with catalog.writing() as session:
        return (await collections.ensure(session, Collection(name="c", engine="openai"))).id


async def test_two_publishes_at_once_give_one_row_each(catalog: Catalog, thirty: Path, tmp_path: Path) -> None:
    describer = ScriptedDescriber()
    folder = BatchFolder.for_recipe(tmp_path, describer.recipe)
    caption(items(str(thirty)), describer, folder, plan=Plan(records_a_file=5))
    collection = await made(catalog)
    one, two = await asyncio.gather(*(publish(catalog, collection, folder) for _ in range(2)))
    assert (one.published + two.published, one.already + two.already) == (25, 25)
    async with catalog.reading() as session:
        ids = [record.outcome.image_id for record in folder.records()]
        known = await known_under(session, collection, describer.recipe.fingerprint(), ids)
    assert len(known) == 29


async def test_a_retried_clone_becomes_the_current_description(catalog: Catalog, thirty: Path, tmp_path: Path) -> None:
    blind = ScriptedDescriber(same)
    folder = BatchFolder.for_recipe(tmp_path, blind.recipe)
    caption(items(str(thirty)), blind, folder)
    collection = await made(catalog)
    assert (await publish(catalog, collection, folder)).published == 25
    plan = Plan(round=next_round(folder), first_attempt=2)
    caption(items_again(folder, "clone"), ScriptedDescriber(), folder, plan=plan, finished=IdTable())
    assert (await publish(catalog, collection, folder)).published == 25
    assert (await publish(catalog, collection, folder)).already == 25

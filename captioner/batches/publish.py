"""Publish: batches enter the catalog exactly once, however often and from wherever this runs."""

from collections.abc import Callable
from itertools import islice

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import Standing
from captioner.batches.rows import Record
from scenes.catalog import publishing, recipes
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication, PublishCounts
from scenes.outcome import Described

ROWS_A_TRANSACTION = 1_000


async def publish(
    catalog: Catalog,
    collection_id: int,
    folder: BatchFolder,
    tick: Callable[[int, int], None] = lambda _done, _total: None,
) -> PublishCounts:
    """Publish all batches of one recipe. Raises `Corrupt` (`batch_corrupt`) before anything of that batch is sent."""
    recipe = folder.recipe
    async with catalog.writing() as session:
        fingerprint = await recipes.remember_caption(session, recipe)
    tables = Standing(folder)
    counts, done, total = PublishCounts(), 0, len(tables)
    try:
        records = tables.records()
        while part := list(islice(records, ROWS_A_TRANSACTION)):
            described = [_publication(record, fingerprint) for record in part if isinstance(record.outcome, Described)]
            others = [(r.outcome, r.uri, fingerprint) for r in part if not isinstance(r.outcome, Described)]
            async with catalog.writing() as session:
                await publishing.record_outcomes(session, collection_id, others)
                counts += await publishing.publish(session, collection_id, described)
            done += len(part)
            tick(done, total)
    finally:
        tables.close()
    return counts


def _publication(record: Record, fingerprint: str) -> Publication:
    outcome = record.outcome
    assert isinstance(outcome, Described)  # noqa: S101 - chosen by the caller
    return Publication(
        image_id=outcome.image_id,
        id_from="bytes",
        description=outcome.description,
        source="machine",
        variant=f"{fingerprint}:{record.round}" if record.round else fingerprint,
        recipe=fingerprint,
        uris=(record.uri,),
        metadata={"exif": outcome.exif} if outcome.exif else {},
        support=outcome.support,
        usage=outcome.usage,
        notes=outcome.notes,
    )

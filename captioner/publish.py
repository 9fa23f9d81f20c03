"""Publish: batches enter the catalog exactly once, however often and from wherever this runs."""

from collections.abc import Callable, Iterator, Sequence

from captioner.batches import BatchFolder, Record, latest
from scenes.catalog import publishing, recipes
from scenes.catalog.engine import Catalog
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
    records = latest(folder.records())
    counts, done = PublishCounts(), 0
    for part in _parts(records):
        described = [_publication(record, fingerprint) for record in part if isinstance(record.outcome, Described)]
        others = [(r.outcome, r.uri, fingerprint) for r in part if not isinstance(r.outcome, Described)]
        async with catalog.writing() as session:
            await publishing.record_outcomes(session, collection_id, others)
            counts += await publishing.publish(session, collection_id, described)
        done += len(part)
        tick(done, len(records))
    return counts


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), ROWS_A_TRANSACTION):
        yield records[start : start + ROWS_A_TRANSACTION]


def _publication(record: Record, fingerprint: str) -> Publication:
    outcome = record.outcome
    assert isinstance(outcome, Described)  # noqa: S101 - chosen by the caller
    return Publication(
        image_id=outcome.image_id,
        id_from="bytes",
        description=outcome.description,
        source="machine",
        variant=fingerprint,
        recipe=fingerprint,
        uris=(record.uri,),
        support=outcome.support,
        usage=outcome.usage,
        notes=outcome.notes,
    )

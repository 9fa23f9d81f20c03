"""Rank the queries of a retrieval set over a live collection, exactly as its users search it."""

from typing import TYPE_CHECKING

from app.cli.wiring import load_encoder
from scenes.answer import Query
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.evaluation.dataset import Dataset
    from indexer.evaluation.gallery import Tick
    from indexer.evaluation.measures import Run
    from indexer.retrieval.reranking import Reranking
    from scenes.catalog.connection import Catalog
    from scenes.catalog.searches import StoredSearch

FOUND = 50


class _Unkept:
    """Searches of an evaluation are nobody's searches: none is stored."""

    async def put(self, search: "StoredSearch") -> None: ...


async def live_run(
    catalog: "Catalog",
    config: "Settings",
    name: str,
    dataset: "Dataset",
    tick: "Tick",
    reranking: "Reranking | None" = None,
) -> "Run":
    """Scores by query and external id, of the 50 best images each.

    Raises `NotFound` (`collection_unknown`), and `BadInput` (`dataset_foreign`) where the collection knows none of the
    set's documents by its id.
    """
    from app.http.security import Secret
    from app.search.service import make_service
    from scenes.catalog import collections

    async with catalog.reading() as session:
        row = await collections.get(session, name)
    secret = Secret.load(config.home, config.secret)
    service = make_service(catalog, load_encoder, config.home, secret, _Unkept(), reranking=reranking)
    await service.engines.of(row.settings.encoder)
    run: dict[str, dict[str, float]] = {}
    for place, (query_id, query) in enumerate(zip(dataset.query_ids, dataset.queries, strict=True), start=1):
        answer = await service.search(name, Query(query=query, k=FOUND))
        run[query_id] = {match.external_id or match.image_id: match.score for match in answer.results}
        tick(place, len(dataset.queries))
    service.close()
    if not {found for scores in run.values() for found in scores} & set(dataset.document_ids):
        raise BadInput(
            "dataset_foreign",
            f"no image found in {name!r} has the id of a document of {dataset.name!r}",
            fix="import the set's corpus with its _id as external_id, or name its collection",
        )
    return run

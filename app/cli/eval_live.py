"""Rank the queries of a retrieval set over a live collection, exactly as its users search it."""

from typing import TYPE_CHECKING

from app.cli.wiring import load_encoder
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.evaluation.dataset import Dataset
    from indexer.evaluation.gallery import Tick
    from indexer.evaluation.measures import Run
    from indexer.reranking.reranking import Reranking
    from scenes.catalog.connection import Catalog

FOUND = 50


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
    from indexer.retrieval.request import SearchRequest
    from indexer.retrieval.retriever import make_retriever
    from scenes.catalog import collections, images

    async with catalog.reading() as session:
        row = await collections.get(session, name)
    retriever = make_retriever(catalog, load_encoder, config.home, reranking=reranking)
    run: dict[str, dict[str, float]] = {}
    for place, (query_id, query) in enumerate(zip(dataset.query_ids, dataset.queries, strict=True), start=1):
        found = await retriever.retrieve(row, SearchRequest(query, FOUND))
        async with catalog.reading() as session:
            there = await images.by_rows(session, row.id, found.rows)
        scored = ((there[one], score) for one, score in zip(found.rows, found.scores, strict=True) if one in there)
        run[query_id] = {view.external_id or view.image_id: score for view, score in scored}
        tick(place, len(dataset.queries))
    retriever.close()
    if not {found for scores in run.values() for found in scores} & set(dataset.document_ids):
        raise BadInput(
            "dataset_foreign",
            f"no image found in {name!r} has the id of a document of {dataset.name!r}",
            fix="import the set's corpus with its _id as external_id, or name its collection",
        )
    return run

"""The answers that one encoder gives to many queries, ranked as searches are; nothing of it is stored."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from indexer.encoding.encoder import Encoder
from indexer.evaluation.comparison import Ranked
from indexer.releases.index_reader import Snapshot
from indexer.releases.searcher import Searcher
from indexer.retrieval.late_interaction import Said
from indexer.retrieval.ranking import Ranking
from scenes.catalog import embeddings, images
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog


async def answers(
    catalog: Catalog, collection: CollectionRow, encoder: Encoder, home: Path, queries: Sequence[str], k: int
) -> list[Ranked]:
    """The first k images for each query, (image id, external id), by an encoder that has vectors of the collection."""
    snapshot = await Searcher(catalog, encoder.recipe, home).snapshot(collection)
    return [await _answer(catalog, snapshot, encoder, query, k) for query in queries]


async def _answer(catalog: Catalog, snapshot: Snapshot, encoder: Encoder, query: str, k: int) -> Ranked:
    ranking = Ranking()
    encoded = await asyncio.to_thread(encoder.encode_queries, [query])
    found = await asyncio.to_thread(snapshot.search, encoded.vectors[0], ranking.candidates(k))
    async with catalog.reading() as session:
        rows = found.rows.tolist()
        words = await embeddings.words(session, snapshot.collection_id, encoder.recipe, rows) if encoded.words else {}
        ranked = ranking.ranked(found, encoded.words[0] if encoded.words else None, Said.at(words, found.rows)).first(k)
        views = await images.by_rows(session, snapshot.collection_id, ranked.rows.tolist())
    return [(views[row].image_id, views[row].external_id) for row in ranked.rows.tolist() if row in views]

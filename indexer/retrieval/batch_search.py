"""Several queries at one moment.

Where all vectors are scanned, they are read once for all of the queries: to read them takes longer than to multiply;
and all of their candidates are scored in one compiled call.
"""

from collections.abc import Iterator

from indexer.encoding.encoder import Vectors
from indexer.releases.index_reader import Found, Snapshot, by_image
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.exact_kernel import exact_scores_of
from indexer.vectors.scoring import best, contenders
from indexer.vectors.vector_index import Hits
from indexer.vectors.vector_store import VectorStore

_PRODUCTS = 4_194_304
"""So many products are held at a time."""


def search_each(snapshot: Snapshot, queries: Vectors, k: int) -> list[Found]:
    """`snapshot.search` for each of several queries, float32 (n, dim); none depends on those beside it."""
    index = snapshot.index
    settled = not len(snapshot.hidden) and not len(snapshot.delta.rows)
    if len(queries) == 1 or not settled or not isinstance(index, ExactIndex):
        return [snapshot.search(query, k) for query in queries]
    at_once = max(1, _PRODUCTS // max(1, index.count))
    parts = (queries[start : start + at_once] for start in range(0, len(queries), at_once))
    hits = (one for part in parts for one in _scanned(index.store, part, k * snapshot.views))
    return [by_image(one, snapshot.views).first(k) for one in hits]


def _scanned(store: VectorStore, queries: Vectors, k: int) -> Iterator[Hits]:
    places = [contenders(rough, k) for rough in queries @ store.vectors.T]
    for mine, scores in zip(places, exact_scores_of(store.vectors, places, queries), strict=True):
        yield best(store.ids[mine], scores, k)

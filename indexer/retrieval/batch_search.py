"""Several queries at one moment."""

from indexer.encoding.encoder import Vectors
from indexer.releases.index_reader import Found, Snapshot, by_image


def search_each(snapshot: Snapshot, queries: Vectors, k: int) -> list[Found]:
    """`snapshot.search` for each of several queries, float32 (n, dim); none depends on those beside it."""
    index = snapshot.index
    settled = not len(snapshot.hidden) and not len(snapshot.delta.rows)
    if len(queries) == 1 or not settled or index is None:
        return [snapshot.search(query, k) for query in queries]
    return [by_image(hits, snapshot.views).first(k) for hits in index.search(queries, k * snapshot.views)]

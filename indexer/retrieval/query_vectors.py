"""The vectors of recent queries, in memory, under a keyed hash of the query; the key is this process's own secret."""

import hashlib
import secrets

from cachetools import LRUCache

from indexer.retrieval.search_batch import EncodedQuery

_MOST = 4_096


class QueryVectors:
    """Keeps the vectors of the queries that were asked last; used on one event loop."""

    def __init__(self, most: int = _MOST) -> None:
        self._key = secrets.token_bytes(32)
        self._known: LRUCache[bytes, EncodedQuery] = LRUCache(most)

    def get(self, query: str) -> EncodedQuery | None:
        return self._known.get(self._name(query))

    def put(self, query: str, encoded: EncodedQuery) -> None:
        self._known[self._name(query)] = encoded

    def _name(self, query: str) -> bytes:
        return hashlib.blake2b(query.encode(), digest_size=32, key=self._key).digest()

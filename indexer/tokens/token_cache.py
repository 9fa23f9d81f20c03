"""Token vectors of candidates, as the catalog held them at their collection's newest known generation.

They are kept in two stores. When the younger one is full, the older one is dropped and a new one is begun: what was
read last stays, and memory is bounded.
"""

from collections.abc import Mapping, Sequence

from indexer.tokens.late_interaction import Packed, Said
from indexer.tokens.token_store import Part, TokenStore
from scenes.catalog import embeddings
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.recipe import EncoderRecipe

_MOST_BYTES = 256 * 1024 * 1024
_Stores = dict[str, TokenStore]
"""One for each encoder, by the fingerprint of its recipe."""


class TokenCache:
    """Reads token vectors by row and keeps them, up to `most_bytes`, until their collection changes."""

    def __init__(self, catalog: Catalog, most_bytes: int = _MOST_BYTES) -> None:
        self._catalog = catalog
        self._half_bytes = most_bytes // 2
        self._young: _Stores = {}
        self._old: _Stores = {}

    def at_hand(self, collection: CollectionRow, encoder: str, rows: Sequence[int]) -> Said:
        """The token vectors of these rows, as far as they are kept; nothing is read. Safe in any thread.

        `encoder` is the fingerprint of the recipe.
        """
        part = collection.id, collection.generation
        stores = [store for stores in (self._young, self._old) if (store := stores.get(encoder)) is not None]
        found = [Said.of([None] * len(rows))]
        for store in stores:
            found.append(store.said(part, rows))
            if found[-1].is_whole:
                return found[-1]
        return _merged(found[1:]) if len(found) > 2 else found[-1]  # noqa: PLR2004 - two stores

    async def by_rows(self, collection: CollectionRow, encoder: EncoderRecipe, rows: Sequence[int]) -> Said:
        """The token vectors of these rows, as far as they still exist; what is not kept is read.

        Raises `EnvironmentMissing` where Postgres is away.
        """
        fingerprint = encoder.fingerprint()
        kept = self.at_hand(collection, fingerprint, rows)
        if kept.is_whole:
            return kept
        found = dict(zip(rows, kept.each(), strict=True))
        missing = [row for row, tokens in found.items() if tokens is None]
        async with self._catalog.reading() as session:
            read = await embeddings.words(session, collection.id, encoder, missing)
        self._keep((collection.id, collection.generation), fingerprint, read)
        found |= read
        return Said.of([found[row] for row in rows])

    def _keep(self, part: Part, encoder: str, read: Mapping[int, Packed]) -> None:
        needed = sum(tokens.nbytes for tokens in read.values())
        if not needed or needed > self._half_bytes:
            return
        if sum(store.nbytes for store in self._young.values()) + needed > self._half_bytes:
            self._young, self._old = {}, self._young
        if encoder not in self._young:
            (dim,) = {tokens.shape[1] for tokens in read.values()}
            self._young[encoder] = TokenStore(self._half_bytes // dim, dim)
        self._young[encoder].put(part, read)


def _merged(found: Sequence[Said]) -> Said:
    """Each row's token vectors from the first that has them."""
    each = zip(*(one.each() for one in found), strict=True)
    return Said.of([next((one for one in tokens if one is not None), None) for tokens in each])

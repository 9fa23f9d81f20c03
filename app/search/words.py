"""Word vectors of candidates, as the catalog held them at their collection's newest known generation."""

from collections.abc import Mapping, Sequence

from app.search.shelf import Shelf
from indexer.retrieval.late_interaction import Packed, Said
from scenes.catalog import embeddings
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.recipe import EncoderRecipe

_MOST_BYTES = 256 * 1024 * 1024


class KnownWords:
    """Reads word vectors by row and keeps them, up to `most_bytes`, until their collection changes."""

    def __init__(self, catalog: Catalog, most_bytes: int = _MOST_BYTES) -> None:
        self._catalog = catalog
        self._most_bytes = most_bytes
        self._shelves: dict[str, Shelf] = {}

    def at_hand(self, collection: CollectionRow, encoder: str, rows: Sequence[int]) -> Said:
        """What these rows say, where it is kept; nothing is read. Safe in any thread.

        `encoder` is the fingerprint of the recipe.
        """
        shelf = self._shelves.get(encoder)
        if shelf is None:
            return Said.of([None] * len(rows))
        return shelf.said((collection.id, collection.generation), rows)

    async def by_rows(self, collection: CollectionRow, encoder: EncoderRecipe, rows: Sequence[int]) -> Said:
        """What these rows say, as far as they are still there; what is not at hand is read."""
        fingerprint = encoder.fingerprint()
        kept = self.at_hand(collection, fingerprint, rows)
        if kept.is_whole:
            return kept
        found = dict(zip(rows, kept.each(), strict=True))
        missing = [row for row, words in found.items() if words is None]
        async with self._catalog.reading() as session:
            read = await embeddings.words(session, collection.id, encoder, missing)
        self._keep((collection.id, collection.generation), fingerprint, read)
        found |= read
        return Said.of([found[row] for row in rows])

    def _keep(self, part: tuple[int, int], encoder: str, read: Mapping[int, Packed]) -> None:
        """Where there is no room left for all, all others make room: what is asked for comes back soon."""
        needed = sum(words.nbytes for words in read.values())
        if not needed or needed > self._most_bytes:
            return
        if sum(shelf.nbytes for shelf in self._shelves.values()) + needed > self._most_bytes:
            self._shelves.clear()
        if encoder not in self._shelves:
            (dim,) = {words.shape[1] for words in read.values()}
            self._shelves[encoder] = Shelf(self._most_bytes // dim, dim)
        self._shelves[encoder].put(part, read)

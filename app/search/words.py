"""Word vectors of candidates, as the catalog held them at their collection's newest known generation."""

from collections.abc import Sequence

from app.search.keeping import Kept
from indexer.late_interaction import Packed
from scenes.catalog import embeddings
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.recipe import EncoderRecipe

_MOST_BYTES = 256 * 1024 * 1024
_Name = tuple[int, int, str, int]
"""Collection, generation, encoder and row."""


class KnownWords:
    """Reads word vectors by row and keeps the newest read, up to `most_bytes`, until their collection changes."""

    def __init__(self, catalog: Catalog, most_bytes: int = _MOST_BYTES) -> None:
        self._catalog = catalog
        self._known: Kept[_Name, Packed] = Kept(most_bytes, lambda words: words.nbytes)

    def at_hand(self, collection: CollectionRow, encoder: str, rows: Sequence[int]) -> dict[int, Packed]:
        """int8 (t, word_dim) for those of these rows that are kept, nothing read. Safe in any thread.

        `encoder` is the fingerprint of the recipe.
        """
        kept = ((row, self._known.get((collection.id, collection.generation, encoder, row))) for row in rows)
        return {row: words for row, words in kept if words is not None}

    async def by_rows(
        self, collection: CollectionRow, encoder: EncoderRecipe, rows: Sequence[int]
    ) -> dict[int, Packed]:
        """int8 (t, word_dim) for each of these rows that is still there."""
        fingerprint = encoder.fingerprint()
        found = self.at_hand(collection, fingerprint, rows)
        missing = [row for row in rows if row not in found]
        if missing:
            async with self._catalog.reading() as session:
                read = await embeddings.words(session, collection.id, encoder, missing)
            for row, words in read.items():
                self._known.put((collection.id, collection.generation, fingerprint, row), words)
            found |= read
        return found

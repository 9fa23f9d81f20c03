"""What is kept of parts that were read from texts."""

import tracemalloc

from indexer.retrieval.field_cache import _part, _size
from indexer.structure.structure import structure_of
from scenes.fields import part

SENTENCE = "A woman in a red coat holds {} small dogs near the old wooden house number {}."


def test_what_is_read_from_a_text_is_counted_about_as_large_as_it_is() -> None:
    structure_of(SENTENCE)
    for fields in (("objects",), ("relations",), ("objects", "people", "actions", "relations")):
        text = " ".join(SENTENCE.format(n, n) for n in range(2, 14))
        tracemalloc.start()
        kept = _part(part(structure_of(text), fields), None)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert taken < 1.5 * _size(kept), fields
        assert _size(kept) < 4 * taken, fields

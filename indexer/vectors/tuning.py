"""Which index a number of vectors gets, and how much it must look at to reach the promised recall."""

from collections.abc import Callable, Sequence
from functools import partial

from indexer.encoding.encoder import Vectors
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import TUNED_FOR, Effort, FaissIndex
from indexer.vectors.measuring import made_up, recall, truth
from indexer.vectors.vector_index import Hits
from indexer.vectors.vector_store import VectorStore
from scenes.recipe import IndexRecipe

PROMISED_RECALL = 0.99
TUNED_RECALL = 0.998
"""What is tuned for: above the promise, for other queries than those it was tuned with."""
EXACT_UP_TO = 50_000
"""So many vectors or fewer are scanned by brute force: a few milliseconds, and always right."""
LINKS = 16
"""Links of a vector in a graph: with one byte a dimension, a third of what the vectors take in fp32."""
_MOST_TUNED = 4_096
_FIRST = 8
_NEARLY = 16
"""A reach is found to one part in so many."""
_MANY = 50
"""So many queries are enough where each has a hundred neighbours or more."""
_REFINE = (1.5, 2, 4, 8)
_FURTHER = 1.25


def plan(count: int) -> IndexRecipe:
    """The kind of index for a number of vectors."""
    if count <= EXACT_UP_TO:
        return IndexRecipe(kind="exact")
    return IndexRecipe(kind="hnsw-int8", parameters={"size": LINKS})


def make(store: VectorStore, recipe: IndexRecipe, queries: Vectors | None = None) -> ExactIndex | FaissIndex:
    """An index of the planned kind, tuned with one half of the queries and held to the promise with the other.

    `queries` float32 (n, dim) should be like those that will be asked; without them they are made up.
    """
    if recipe.kind == "exact":
        return ExactIndex(store)
    asked = made_up(store) if queries is None or not len(queries) else queries
    index = tuned(FaissIndex.build(store, recipe.kind, int(recipe.parameters["size"])), store, asked[::2])
    return held(index, store, asked[1::2])


def tuned(index: FaissIndex, store: VectorStore, queries: Vectors) -> FaissIndex:
    """The same index with the least effort that reaches `TUNED_RECALL` of the 10, 100 and 1,000 best."""
    right = truth(store, queries, max(TUNED_FOR))
    most = min(index.most, _MOST_TUNED)
    reached = partial(_reached, index, queries, right)
    refine = next((n for n in _REFINE if reached(n, TUNED_FOR[0], most)), _REFINE[-1])
    ten, hundred, thousand = (_least(most, partial(reached, refine, k)) for k in TUNED_FOR)
    return index.with_effort(Effort((ten, hundred, thousand), refine))


def held(index: FaissIndex, store: VectorStore, queries: Vectors) -> FaissIndex:
    """The same index, reaching further until it keeps the promise for these queries as well; at last with all there is.

    Few queries may by chance be easier than those that a release is verified with.
    """
    right = truth(store, queries, TUNED_FOR[0])
    most = min(index.most, _MOST_TUNED)
    while not _keeps_promise(index, queries, right):
        if index.effort.reach[0] >= most:
            return index.with_effort(Effort((most, most, most), _REFINE[-1]))
        ten, hundred, thousand = (min(most, int(reach * _FURTHER) + 1) for reach in index.effort.reach)
        index = index.with_effort(Effort((ten, hundred, thousand), index.effort.refine))
    return index


def _keeps_promise(index: FaissIndex, queries: Vectors, right: Sequence[Hits]) -> bool:
    found = recall(index, queries, right, TUNED_FOR[0])
    return found is None or found >= PROMISED_RECALL


def _reached(index: FaissIndex, queries: Vectors, right: Sequence[Hits], refine: float, k: int, reach: int) -> bool:
    few = len(queries) if k == TUNED_FOR[0] else _MANY
    tried = index.with_effort(Effort((reach, reach, reach), refine))
    found = recall(tried, queries[:few], right[:few], k)
    return found is None or found >= TUNED_RECALL


def _least(most: int, is_enough: Callable[[int], bool]) -> int:
    """About the least number up to `most` that is enough, where more is never worse; `most` where none is."""
    low, high = 0, min(_FIRST, most)
    while high < most and not is_enough(high):
        low, high = high, min(2 * high, most)
    while high - low > max(1, high // _NEARLY):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high

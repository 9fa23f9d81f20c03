"""Which index a number of vectors gets, and how much it must look at to reach the promised recall."""

from collections.abc import Callable
from functools import partial

from indexer.exact_index import ExactIndex
from indexer.faiss_index import TUNED_FOR, Effort, FaissIndex
from indexer.measuring import measured, recall, sample, stand_ins, truth
from indexer.vector_store import VectorStore
from scenes.recipe import IndexRecipe

PROMISED_RECALL = 0.99
TUNED_RECALL = 0.995
"""What is tuned for: above the promise, for other queries than those it was tuned with."""
EXACT_UP_TO = 50_000
"""So many vectors or fewer are scanned by brute force: a few milliseconds, and always right."""
LINKS = 16
"""Links of a vector in a graph: with one byte a dimension, a third of what the vectors take in fp32."""
_MOST_TUNED = 4_096
_QUERIES = (200, 1_000)
_REFINE = (2, 4, 8)
_SEED = 20_260_102


def plan(count: int) -> IndexRecipe:
    """The kind of index for a number of vectors."""
    if count <= EXACT_UP_TO:
        return IndexRecipe(kind="exact")
    return IndexRecipe(kind="hnsw-sq8", parameters={"size": LINKS})


def make(store: VectorStore, recipe: IndexRecipe) -> ExactIndex | FaissIndex:
    """An index of the planned kind, tuned."""
    if recipe.kind == "exact":
        return ExactIndex(store)
    return tuned_to_promise(FaissIndex.build(store, recipe.kind, int(recipe.parameters["size"])), store)


def tuned_to_promise(index: FaissIndex, store: VectorStore) -> FaissIndex:
    """Tuned with more and more queries until what is promised holds for others too; at last with all effort there is.

    Few queries may by chance be easier than those that a release is verified with.
    """
    for tries in _QUERIES:
        index = tuned(index, store, tries)
        found = measured(index, store)
        if found is None or found >= PROMISED_RECALL:
            return index
    most = min(index.most, _MOST_TUNED)
    return index.with_effort(Effort((most, most, most), _REFINE[-1]))


def tuned(index: FaissIndex, store: VectorStore, tries: int = _QUERIES[0]) -> FaissIndex:
    """The same index with the least effort that reaches `TUNED_RECALL` of the 10, 100 and 1,000 best, for so many
    stand-in queries."""
    queries = stand_ins(sample(store, tries, _SEED), _SEED)
    right = truth(store, queries, max(TUNED_FOR))

    most = min(index.most, _MOST_TUNED)

    def reached(refine: int, k: int, reach: int) -> bool:
        found = recall(index.with_effort(Effort((reach, reach, reach), refine)), queries, right, k)
        return found is None or found >= TUNED_RECALL

    refine = next((n for n in _REFINE if reached(n, TUNED_FOR[0], most)), _REFINE[-1])
    ten, hundred, thousand = (_least(most, partial(reached, refine, k)) for k in TUNED_FOR)
    return index.with_effort(Effort((ten, hundred, thousand), refine))


def _least(most: int, is_enough: Callable[[int], bool]) -> int:
    """The least number up to `most` that is enough, where more is never worse; `most` where none is."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low

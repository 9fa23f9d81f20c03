"""Which index a number of vectors gets, and how much it must look at to reach the promised recall."""

from collections.abc import Callable
from functools import partial
from math import log2, sqrt

from indexer.exact_index import ExactIndex
from indexer.faiss_index import TUNED_FOR, Effort, FaissIndex
from indexer.measuring import recall, sample, stand_ins, truth
from indexer.vector_store import VectorStore
from scenes.recipe import IndexRecipe

PROMISED_RECALL = 0.99
TUNED_RECALL = 0.995
"""What is tuned for: above the promise, for other queries than those it was tuned with."""
EXACT_UP_TO = 50_000
"""So many vectors or fewer are scanned by brute force: a few milliseconds, and always right."""
_QUERIES = 200
_REFINE = (2, 4, 8)
_SEED = 20_260_102


def plan(count: int) -> IndexRecipe:
    """The kind of index for a number of vectors."""
    if count <= EXACT_UP_TO:
        return IndexRecipe(kind="exact")
    return IndexRecipe(kind="ivf-sq8", parameters={"lists": 2 ** round(log2(2 * sqrt(count)))})


def make(store: VectorStore, recipe: IndexRecipe) -> ExactIndex | FaissIndex:
    """An index of the planned kind, tuned."""
    if recipe.kind == "exact":
        return ExactIndex(store)
    return tuned(FaissIndex.build(store, recipe.kind, int(recipe.parameters["lists"])), store)


def tuned(index: FaissIndex, store: VectorStore) -> FaissIndex:
    """The same index with the least effort that reaches `TUNED_RECALL` of the 10, 100 and 1,000 best."""
    queries = stand_ins(sample(store, _QUERIES, _SEED), _SEED)
    right = truth(store, queries, max(TUNED_FOR))

    def reached(refine: int, k: int, probes: int) -> bool:
        found = recall(index.with_effort(Effort((probes, probes, probes), refine)), queries, right, k)
        return found is None or found >= TUNED_RECALL

    refine = next((n for n in _REFINE if reached(n, TUNED_FOR[0], index.lists)), _REFINE[-1])
    ten, hundred, thousand = (_least(index.lists, partial(reached, refine, k)) for k in TUNED_FOR)
    return index.with_effort(Effort((ten, hundred, thousand), refine))


def _least(most: int, is_enough: Callable[[int], bool]) -> int:
    """The least number up to `most` that is enough, where more is never worse; `most` where none is."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low

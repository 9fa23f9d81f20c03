"""The one door to FAISS: coarse candidates from a graph or lists of quantised vectors, scored by the exact ones.

FAISS numbers vectors by their place in the store, which is ordered by id; so there is no id map to keep in memory,
and a filter is a bitmap. Its files are memory-mapped: processes share them, and a cold start reads little.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.int8_quantizer import WholeNumbers
from indexer.vectors.measuring import sample
from indexer.vectors.scoring import ROUNDING, exact_hits, exact_scores, ranked
from indexer.vectors.vector_index import Hits, Ids
from indexer.vectors.vector_store import VectorStore
from scenes.errors import Corrupt
from scenes.recipe import IndexRecipe

_FILE = "index.faiss"
_RECIPE = "index.json"
_LISTS = {"ivf-sq8": "IVF{size},SQ8", "ivf-fp16": "IVF{size},SQfp16"}
_GRAPH = "hnsw-int8"
_CONSTRUCTION = 256
"""How many candidates a new vector's neighbours in a graph are chosen from."""
_CHUNK = 65_536
_TRAINED = 50_000
_MEASURED_BY = 5_000
_TRAINED_PER_LIST = 50
_KNOWN = 32
_MORE = 5
"""So many candidates more than neighbours are scored exactly, at least."""
_EXACT_SCAN = 50_000
"""So many allowed vectors or fewer are all scored exactly."""
TUNED_FOR = (10, 100, 1_000)
"""The numbers of neighbours that `reach` is tuned for, one entry each."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is looked at for 10, 100 and 1,000 neighbours: lists that are read, or candidates that a walk through
    the graph keeps; `refine` times as many candidates as neighbours, and a few more, are scored exactly."""

    reach: tuple[int, int, int]
    refine: float

    def reach_for(self, k: int) -> int:
        return next((n for most, n in zip(TUNED_FOR, self.reach, strict=True) if k <= most), self.reach[-1])


@dataclass(frozen=True, slots=True)
class _Rough:
    """What FAISS searches: a graph of whole numbers, or lists. `most` is the reach that looks at everything; `file` is
    what it is mapped from: FAISS can write only what lies in memory."""

    index: Any
    kind: str
    numbers: WholeNumbers | None
    count: int
    most: int
    file: Path | None = None

    @classmethod
    def of(cls, index: Any, kind: str, numbers: WholeNumbers | None, file: Path | None = None) -> "_Rough":
        count = int(index.ntotal)
        return cls(index, kind, numbers, count, count if kind == _GRAPH else int(index.nlist), file)


class FaissIndex:
    """Safe for concurrent readers: search parameters go with each call."""

    def __init__(self, rough: _Rough, store: VectorStore, effort: Effort) -> None:
        self._rough = rough
        self.store = store
        self.effort = effort
        self._asks = lru_cache(_KNOWN)(partial(_ask, rough.kind))
        self._begins = lru_cache(_KNOWN)(self._first)

    @classmethod
    def build(cls, store: VectorStore, kind: str, size: int, seed: int = 1) -> "FaissIndex":
        """Train and fill an index; it looks at everything until it is tuned.

        `kind` is 'hnsw-int8', a graph of `size` links a vector, or 'ivf-sq8' or 'ivf-fp16', `size` lists.
        """
        size = max(2, min(size, len(store.ids)))
        numbers = WholeNumbers.fit(sample(store, _MEASURED_BY, seed)) if kind == _GRAPH else None
        index = _graph(store.dimensions, size) if kind == _GRAPH else _lists(store, kind, size, seed)
        for start in range(0, len(store.ids), _CHUNK):
            block = store.vectors[start : start + _CHUNK]
            index.add(block if numbers is None else numbers.coded(block))
        rough = _Rough.of(index, kind, numbers)
        return cls(rough, store, Effort((rough.most, rough.most, rough.most), 2))

    @property
    def count(self) -> int:
        return self._rough.count

    @property
    def dimensions(self) -> int:
        return self.store.dimensions

    @property
    def most(self) -> int:
        """The reach that looks at everything."""
        return self._rough.most

    @property
    def recipe(self) -> IndexRecipe:
        """What was built and how it searches."""
        effort = {"reach": list(self.effort.reach), "refine": self.effort.refine}
        return IndexRecipe(kind=self._rough.kind, parameters=effort)

    def with_effort(self, effort: Effort) -> "FaissIndex":
        """The same index, searched otherwise."""
        return FaissIndex(self._rough, self.store, effort)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        places = None if allowed is None else self.store.places(allowed)
        if places is not None:
            places = places[places >= 0]
            if len(places) <= _EXACT_SCAN:
                return self._hits(queries, places, k)
        return [self._nearest(query, k, places) for query in queries]

    def vectors(self, ids: Ids) -> Vectors:
        return self.store.take(ids)

    def blocks(self) -> Iterator[tuple[Ids, Vectors]]:
        return self.store.blocks()

    def save(self, folder: Path) -> None:
        self.store.save(folder)
        self.save_lists(folder)

    def save_lists(self, folder: Path) -> None:
        """Write all but the exact vectors, where those lie in the folder already."""
        if self._rough.file is None:
            _vendor().write_index(self._rough.index, str(folder / _FILE))
        else:
            shutil.copyfile(self._rough.file, folder / _FILE)
        size = (folder / _FILE).stat().st_size
        numbers = None if self._rough.numbers is None else self._rough.numbers.told()
        told = {"recipe": self.recipe.model_dump(), "numbers": numbers, "bytes": size}
        (folder / _RECIPE).write_text(json.dumps(told))

    @classmethod
    def load(cls, folder: Path) -> "FaissIndex":
        """Raises `Corrupt` (`index_unreadable`)."""
        store = VectorStore.open(folder)
        try:
            told = json.loads((folder / _RECIPE).read_text())
            recipe = IndexRecipe.model_validate(told["recipe"])
            if (folder / _FILE).stat().st_size != told["bytes"]:  # reading past the end of a mapped file kills
                raise ValueError(f"{_FILE} is cut")
            effort = Effort(tuple(recipe.parameters["reach"]), recipe.parameters["refine"])
            index = _mapped(folder / _FILE, recipe.kind)
            if (index.ntotal, index.d) != store.vectors.shape:
                raise ValueError("the lists and the exact vectors are not of one index")
            numbers = WholeNumbers.of(told["numbers"]) if recipe.kind == _GRAPH else None
            rough = _Rough.of(index, recipe.kind, numbers, folder / _FILE)
        except (RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt("index_unreadable", f"{folder} holds no readable FAISS index: {error}") from error
        return cls(rough, store, effort)

    def _nearest(self, query: Vectors, k: int, places: NDArray[np.intp] | None) -> Hits:
        """Ask for more and reach further until k are found and no equal one can have been cut off: none is where the
        last candidate is worse, by rough score, than each that is kept."""
        there = self.count if places is None else len(places)
        wanted, reach = self._begins(k, there)
        while wanted:
            rough, found, unit = self._candidates(query, wanted, reach, places)
            if len(found) < min(k, there):
                if reach == self.most:
                    return self._all(query, k, places)
                reach = min(4 * reach, self.most)
                continue
            ids, scores = self.store.ids[found], exact_scores(self.store.read(found), query)
            kept = ranked(ids, scores)[:k]
            if len(found) < wanted or wanted == there or rough[-1] < rough[kept].min() - ROUNDING * unit:
                return Hits(ids[kept], scores[kept])
            wanted = min(2 * wanted, there)
        return Hits(np.empty(0, np.int64), np.empty(0, np.float32))

    def _first(self, k: int, there: int) -> tuple[int, int]:
        """How many candidates are asked for at first, of so many that there are, and how far is reached for them."""
        wanted = min(max(math.ceil(k * self.effort.refine), k + _MORE), there)
        return wanted, min(self.effort.reach_for(k) * max(1, self.count // max(there, 1)), self.most)

    def _all(self, query: Vectors, k: int, places: NDArray[np.intp] | None) -> Hits:
        """By brute force: not all of a graph can be reached from everywhere."""
        if places is None:
            return ExactIndex(self.store).search(query[None, :], k)[0]
        return self._hits(query[None, :], places, k)[0]

    def _hits(self, queries: Vectors, places: NDArray[np.intp], k: int) -> list[Hits]:
        """For each query the k best of the vectors at these places, all scored exactly."""
        return exact_hits(self.store.vectors, self.store.ids, queries, [places] * len(queries), k)

    def _candidates(
        self, query: Vectors, wanted: int, reach: int, places: NDArray[np.intp] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], float]:
        """Rough scores and places, best first: `wanted` of them, or as many as were found; and what a score of 1 is in
        these."""
        numbers = self._rough.numbers
        asked, unit = (np.ascontiguousarray(query, np.float32), 1.0) if numbers is None else numbers.asked(query)
        how = self._asks(reach, wanted) if places is None else _ask(self._rough.kind, reach, wanted, self._only(places))
        rough, found = self._rough.index.search(asked[None, :], wanted, params=how)
        if found[0, -1] >= 0:
            return rough[0], found[0], unit
        real = found[0] >= 0
        return rough[0][real], found[0][real], unit

    def _only(self, places: NDArray[np.intp]) -> Any:
        bits = np.zeros(self.count, np.uint8)
        bits[places] = 1
        return _vendor().IDSelectorBitmap(np.packbits(bits, bitorder="little"))


def _graph(dimensions: int, links: int) -> Any:
    faiss = _vendor()
    whole_numbers = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexHNSWSQ(dimensions, whole_numbers, links, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _CONSTRUCTION
    index.train(np.zeros((1, dimensions), np.float32))  # there is nothing to learn, but FAISS insists
    return index


def _lists(store: VectorStore, kind: str, size: int, seed: int) -> Any:
    faiss = _vendor()
    index = faiss.index_factory(store.dimensions, _LISTS[kind].format(size=size), faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter, index.cp.spherical, index.cp.min_points_per_centroid = seed, 10, True, 1
    learnt_from = sample(store, max(_TRAINED, _TRAINED_PER_LIST * size), seed)
    if len(learnt_from) >= size:
        index.train(learnt_from)
    return index


def _ask(kind: str, reach: int, wanted: int, selector: Any = None) -> Any:
    faiss = _vendor()
    if kind == _GRAPH:
        slower = selector is not None  # FAISS 1.15 ignores a selector where the queue has no bound
        return faiss.SearchParametersHNSW(efSearch=max(reach, wanted), bounded_queue=slower, sel=selector)
    return faiss.SearchParametersIVF(nprobe=reach, sel=selector)


def _vendor() -> Any:
    import faiss

    return faiss


def _mapped(file: Path, kind: str) -> Any:
    faiss = _vendor()
    if kind == _GRAPH:
        return faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
    index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0  # else each search starts 32 threads
    return index

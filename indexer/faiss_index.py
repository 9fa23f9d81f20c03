"""The one door to FAISS: coarse candidates from inverted lists of quantised vectors, scored by the exact ones.

FAISS numbers vectors by their place in the store, which is ordered by id; so there is no id map to keep in memory,
and a filter is a bitmap. Its files are memory-mapped: processes share them, and a cold start reads little.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.scoring import ROUNDING, best, exact_scores
from indexer.vector_index import Hits, Ids
from indexer.vector_store import VectorStore
from scenes.errors import Corrupt
from scenes.recipe import IndexRecipe

_FILE = "index.faiss"
_RECIPE = "index.json"
_CODES = {"ivf-sq8": "SQ8", "ivf-fp16": "SQfp16"}
_CHUNK = 65_536
_TRAINED_PER_LIST = 50
_EXACT_SCAN = 50_000
"""So many allowed vectors or fewer are all scored exactly."""
TUNED_FOR = (10, 100, 1_000)
"""The numbers of neighbours that `probes` is tuned for, one entry each."""


@dataclass(frozen=True, slots=True)
class Effort:
    """`probes` lists are read for 10, 100 and 1,000 neighbours; `refine` times as many candidates are re-scored."""

    probes: tuple[int, int, int]
    refine: int

    def probes_for(self, k: int) -> int:
        return next((n for most, n in zip(TUNED_FOR, self.probes, strict=True) if k <= most), self.probes[-1])


class FaissIndex:
    """Safe for concurrent readers: search parameters go with each call."""

    def __init__(self, index: Any, store: VectorStore, kind: str, effort: Effort, mapped: Path | None = None) -> None:
        """`mapped` is the file that the index is mapped from: FAISS can write only what lies in memory."""
        self._index = index
        self._mapped = mapped
        self.store = store
        self._kind = kind
        self._effort = effort

    @classmethod
    def build(cls, store: VectorStore, kind: str, lists: int, seed: int = 1) -> "FaissIndex":
        """Train and fill an index of `kind` 'ivf-sq8' or 'ivf-fp16'; it reads every list until it is tuned."""
        faiss = _vendor()
        lists = max(1, min(lists, len(store.ids)))
        index = faiss.index_factory(store.dimensions, f"IVF{lists},{_CODES[kind]}", faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.niter, index.cp.spherical = seed, 10, True
        chosen = np.random.default_rng(seed).permutation(len(store.ids))[: _TRAINED_PER_LIST * lists]
        index.cp.min_points_per_centroid = 1
        if len(chosen):
            index.train(store.vectors[np.sort(chosen)])
        for start in range(0, len(store.ids), _CHUNK):
            index.add(store.vectors[start : start + _CHUNK])
        return cls(index, store, kind, Effort((lists, lists, lists), 2))

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    @property
    def lists(self) -> int:
        return int(self._index.nlist)

    @property
    def recipe(self) -> IndexRecipe:
        """What was built and how it searches."""
        effort = {"probes": list(self._effort.probes), "refine": self._effort.refine}
        return IndexRecipe(kind=self._kind, parameters={"lists": self.lists} | effort)

    def with_effort(self, effort: Effort) -> "FaissIndex":
        """The same index, searched otherwise."""
        return FaissIndex(self._index, self.store, self._kind, effort, self._mapped)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        places = None if allowed is None else self.store.places(allowed)
        if places is not None:
            places = places[places >= 0]
            if len(places) <= _EXACT_SCAN:
                vectors, ids = self.store.vectors[places], self.store.ids[places]
                return [best(ids, exact_scores(vectors, query), k) for query in queries]
        return [self._nearest(query, k, places) for query in queries]

    def vectors(self, ids: Ids) -> Vectors:
        return self.store.take(ids)

    def save(self, folder: Path) -> None:
        self.store.save(folder)
        self.save_lists(folder)

    def save_lists(self, folder: Path) -> None:
        """Write all but the exact vectors, where those lie in the folder already."""
        if self._mapped is None:
            _vendor().write_index(self._index, str(folder / _FILE))
        else:
            shutil.copyfile(self._mapped, folder / _FILE)
        told = {"recipe": self.recipe.model_dump(), "bytes": (folder / _FILE).stat().st_size}
        (folder / _RECIPE).write_text(json.dumps(told))

    @classmethod
    def load(cls, folder: Path) -> "FaissIndex":
        """Raises `Corrupt` (`index_unreadable`)."""
        faiss = _vendor()
        store = VectorStore.open(folder)
        try:
            told = json.loads((folder / _RECIPE).read_text())
            recipe = IndexRecipe.model_validate(told["recipe"])
            if (folder / _FILE).stat().st_size != told["bytes"]:  # reading past the end of a mapped file kills
                raise ValueError(f"{_FILE} is cut")
            effort = Effort(tuple(recipe.parameters["probes"]), recipe.parameters["refine"])
            index = faiss.read_index(str(folder / _FILE), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
            faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0  # else each search starts 32 threads
            if (index.ntotal, index.d) != store.vectors.shape:
                raise ValueError("the lists and the exact vectors are not of one index")
        except (RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt("index_unreadable", f"{folder} holds no readable FAISS index: {error}") from error
        return cls(index, store, recipe.kind, effort, folder / _FILE)

    def _nearest(self, query: Vectors, k: int, places: NDArray[np.intp] | None) -> Hits:
        """Ask for more and read more lists until k are found and no equal one can have been cut off."""
        reach = self.count if places is None else len(places)
        wanted = min(max(k * self._effort.refine, k + 16), reach)
        probes = min(self._effort.probes_for(k) * max(1, self.count // max(reach, 1)), self.lists)
        while wanted:
            rough, found = self._candidates(query, wanted, probes, places)
            short = len(found) < min(k, reach)
            if short and probes < self.lists:
                probes = min(4 * probes, self.lists)
                continue
            hits = best(self.store.ids[found], exact_scores(self.store.vectors[found], query), k)
            if len(found) < wanted or wanted == reach or not _is_cut_in_ties(rough, found, self.store, hits):
                return hits
            wanted = min(2 * wanted, reach)
        return Hits(np.empty(0, np.int64), np.empty(0, np.float32))

    def _candidates(
        self, query: Vectors, wanted: int, probes: int, places: NDArray[np.intp] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        faiss = _vendor()
        selector = None if places is None else faiss.IDSelectorBitmap(_bitmap(places, self.count))
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        scores, found = self._index.search(np.ascontiguousarray(query[None, :], np.float32), wanted, params=parameters)
        real = found[0] >= 0
        return scores[0][real], found[0][real]


def _vendor() -> Any:
    import faiss

    return faiss


def _bitmap(places: NDArray[np.intp], count: int) -> NDArray[np.uint8]:
    bits = np.zeros(count, np.uint8)
    bits[places] = 1
    return np.packbits(bits, bitorder="little")


def _is_cut_in_ties(rough: NDArray[np.float32], found: NDArray[np.int64], store: VectorStore, hits: Hits) -> bool:
    """Was a candidate as good, by rough score, as the last one kept perhaps not told?"""
    kept = rough[np.isin(store.ids[found], hits.ids)]
    return bool(len(kept)) and bool(rough[-1] >= kept.min() - ROUNDING)

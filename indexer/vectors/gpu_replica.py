"""A replica of an index on a GPU: it proposes candidates, the CPU master's exact vectors score them.

The replica is held against its master on a sample before it serves. Whatever goes wrong after that ends it: its
master answers, and the watcher is told why.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.device_thread import Answer, Device, DeviceThread, Left
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import FaissIndex
from indexer.vectors.measuring import sample, stand_ins
from indexer.vectors.scoring import best, exact_scores
from indexer.vectors.vector_index import Hits, Ids, VectorIndex
from indexer.vectors.vector_store import VectorStore
from scenes.errors import Corrupt, EnvironmentMissing

Master: TypeAlias = ExactIndex | FaissIndex
FellBack = Callable[[str], None]
"""Is told a reason, one of `REASONS`, each time that the master answers in place of the device."""
REASONS = ("no_gpu", "self_test", "device_failed", "device_silent", "busy", "unproven")
DeviceOf = Callable[[VectorStore], Device]
"""Copies a store's vectors to a device. Raises `EnvironmentMissing` (`gpu_missing`, `gpu_failed`)."""
_SILENT_S = 5.0
_MORE = 54
_TRIED = (10_000, 384)
_TESTED = 64
_SEED = 20_260_105
_log = logging.getLogger(__name__)


class GpuReplica:
    """A `VectorIndex`: searches of everything go to the device, all else to the master."""

    def __init__(self, master: Master, device: Device, fell_back: FellBack, silent_s: float = _SILENT_S) -> None:
        """Raises `Corrupt` (`gpu_unfit`) where the device does not answer as exact search does."""
        self.master = master
        self.device = device
        self.ended: str | None = None
        self._fell_back = fell_back
        self._thread = DeviceThread(device, silent_s)
        self._test()

    @property
    def count(self) -> int:
        return self.master.count

    @property
    def dimensions(self) -> int:
        return self.master.dimensions

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        """As every index does; with `allowed` by the master, for GPU indexes ignore selectors."""
        if allowed is not None or not len(queries) or not self.count:
            return self.master.search(queries, k, allowed)
        if self.ended is not None:
            self._fell_back(self.ended)
            return self.master.search(queries, k)
        try:
            return self._searched(queries, k)
        except Left as left:
            self._tell(left)
            return self.master.search(queries, k)

    def vectors(self, ids: Ids) -> Vectors:
        return self.master.vectors(ids)

    def blocks(self) -> Iterator[tuple[Ids, Vectors]]:
        return self.master.blocks()

    def save(self, folder: Path) -> None:
        self.master.save(folder)

    def _searched(self, queries: Vectors, k: int) -> list[Hits]:
        """Ask for more until the last candidate is so much worse than the k-th that nothing better was cut off."""
        wanted = min(k + _MORE, self.count)
        while wanted <= self.device.most:
            rough, places = self._asked(queries, wanted)
            scored = [self._scored(*one, k) for one in zip(queries, rough, places, strict=True)]
            if wanted == self.count or all(proven for _, proven in scored):
                return [hits for hits, _ in scored]
            wanted = min(4 * wanted, self.count)
        raise Left("unproven", "more candidates are needed than the device gives")

    def _scored(
        self, query: Vectors, rough: NDArray[np.float32], places: NDArray[np.int64], k: int
    ) -> tuple[Hits, bool]:
        """The k best candidates by exact score, and whether no other vector can be among them."""
        hits = best(self.master.store.ids[places], self._exact(query, places), k)
        return hits, bool(rough[-1] + self.device.rounding < hits.scores[-1])

    def _asked(self, queries: Vectors, k: int) -> Answer:
        rough, places = self._thread.ask(queries, k)
        if places.shape != (len(queries), k) or places.min() < 0 or places.max() >= self.count:
            raise Left("device_failed", "it answered with places that there are not", ends=True)
        return rough, places

    def _exact(self, query: Vectors, places: NDArray[np.int64]) -> NDArray[np.float32]:
        return exact_scores(self.master.store.read(places), query)

    def _tell(self, left: Left) -> None:
        self._fell_back(left.reason)
        if left.ends and self.ended is None:
            self.ended = left.reason
            _log.error("the GPU replica on %s ended, the CPU answers: %s", self.device.name, left)

    def _test(self) -> None:
        """Vectors themselves and queries like real ones: right scores, and no better vector left out."""
        drawn = sample(self.master.store, _TESTED, _SEED)
        if not len(drawn):
            return
        queries = np.concatenate([drawn, stand_ins(drawn, _SEED)])
        right = ExactIndex(self.master.store).search(queries, min(10, self.count))
        try:
            rough, places = self._asked(queries, min(10, self.count))
        except Left as left:
            raise Corrupt("gpu_unfit", f"{self.device.name} failed its self-test: {left}") from left
        tolerance = self.device.rounding
        for i, query in enumerate(queries):
            exact = self._exact(query, places[i])
            right_scores = bool(np.all(np.abs(exact - rough[i]) <= tolerance))
            if not right_scores or exact.min() < right[i].scores[-1] - 2 * tolerance:
                raise Corrupt("gpu_unfit", f"{self.device.name} failed its self-test: other scores than the CPU's")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Makes replicas of indexes as they are opened; where that fails the master itself serves, told loudly."""

    device_of: DeviceOf
    fell_back: FellBack

    def __call__(self, master: Master) -> VectorIndex:
        try:
            return GpuReplica(master, self.device_of(master.store), self.fell_back)
        except (EnvironmentMissing, Corrupt) as error:
            self.fell_back("no_gpu" if error.code == "gpu_missing" else "self_test")
            _log.error("a release is searched on the CPU, not on a GPU: %s", error.message)
            return master


def self_tested(device_of: DeviceOf) -> str:
    """Test a replica of random vectors; returns the device's name. Raises as `DeviceOf` and the test do."""
    vectors = np.random.default_rng(_SEED).normal(size=_TRIED).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    master = ExactIndex.of(vectors, np.arange(len(vectors), dtype=np.int64))
    return GpuReplica(master, device_of(master.store), lambda _reason: None).device.name

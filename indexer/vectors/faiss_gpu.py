"""The other half of the door to FAISS: vectors on a GPU, as half-precision brute force."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.vector_store import VectorStore
from scenes.errors import EnvironmentMissing

HALF_ROUNDING = 2e-3
"""How far an inner product of two unit vectors in half precision can be off: 2⁻¹⁰ for each of the two, rounded up."""
MOST = 2_048
"""GPU indexes give no more neighbours than that."""


def seen() -> int:
    """How many GPUs FAISS sees: none where it was built without them."""
    faiss = _vendor()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def built_for() -> str:
    """FAISS' version and whether this build can use GPUs, and cuVS."""
    faiss = _vendor()
    options = faiss.get_compile_options()
    kind = "CPU only" if not hasattr(faiss, "StandardGpuResources") else "GPU, cuVS" if "CUVS" in options else "GPU"
    return f"FAISS {faiss.__version__} ({kind})"


class FaissGpu:
    """Half-precision vectors on the first GPU; through cuVS where the build has it. Not safe for concurrent readers."""

    rounding = HALF_ROUNDING
    most = MOST

    def __init__(self, store: VectorStore) -> None:
        """Raises `EnvironmentMissing` (`gpu_missing`) where no GPU is seen, (`gpu_failed`) where it can't hold all."""
        if not seen():
            raise EnvironmentMissing(
                "gpu_missing", f"no GPU was seen by {built_for()}", fix="pip install 'wordsight[gpu]' on a GPU machine"
            )
        faiss = _vendor()
        self.name = f"GPU 0 by {built_for()}"
        config = faiss.GpuIndexFlatConfig()
        config.useFloat16 = True
        config.device = 0
        config.use_cuvs = "CUVS" in faiss.get_compile_options()
        try:
            self._resources = faiss.StandardGpuResources()
            self._index: Any = faiss.GpuIndexFlatIP(self._resources, store.dimensions, config)
            for _, block in store.blocks():
                self._index.add(np.ascontiguousarray(block))
        except RuntimeError as error:
            raise EnvironmentMissing("gpu_failed", f"{self.name} does not take the vectors: {error}") from error

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        scores, places = self._index.search(np.ascontiguousarray(queries, np.float32), k)
        return scores, places


def _vendor() -> Any:
    import faiss

    return faiss

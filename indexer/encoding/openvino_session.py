"""The one door to OpenVINO: token numbers to raw vectors."""

import sys
from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.encoding.tokenizer import Tokens
from scenes.errors import EnvironmentMissing
from scenes.host.processes import cores

if TYPE_CHECKING:
    from openvino import Core, Model

OUTPUTS = ["vectors", "hidden"]
Precision = Literal["fp32", "bf16"]
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoSession:
    """A model compiled one way. Safe from several threads.

    A text's numbers are the same to the last bit alone and in any batch of the same length in tokens, on one thread and
    on several.
    """

    def __init__(self, model: "Model", precision: Precision, *, together: bool) -> None:
        """Calls run beside each other, each on one core; `together` all cores share a call."""
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": cores(),
            "NUM_STREAMS": 1 if together else cores(),
            "ENABLE_CPU_PINNING": False,  # several processes would pin themselves to the same cores
            "SNIPPETS_MODE": "DISABLE",  # attention over a few words is quicker in its parts than fused
        }
        self._model = _core().compile_model(model, "CPU", settings)
        self._inputs = {one.get_any_name() for one in self._model.inputs}
        self._mine = local()

    def run(self, tokens: Tokens) -> tuple[Vectors, NDArray[np.float32]]:
        """Vectors float32 (n, dim), of any length, and hidden states float32 (n, longest, hidden)."""
        feeds = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "token_type_ids": np.zeros_like(tokens.ids)}
        found = self._request().infer({name: value for name, value in feeds.items() if name in self._inputs})
        vectors, hidden = (np.array(found[name]) for name in OUTPUTS)
        return vectors, hidden

    def _request(self) -> Any:
        """A request holds its buffers, so each thread has its own."""
        if not hasattr(self._mine, "request"):
            self._mine.request = self._model.create_infer_request()
        return self._mine.request


class EncoderSessions:
    """One exported encoder for queries, in their precision, and for documents, in fp32. Safe from several threads.

    It is compiled for either when the first one comes: a server mostly sees queries, an import only documents.
    """

    def __init__(self, file: Path, queries: Precision) -> None:
        """Raises `EnvironmentMissing` (`encoder_not_installed`) and `RuntimeError` for a file that is no model."""
        self._model = _core().read_model(str(file))
        self._queries = queries
        self._many_cores = cores() > 1
        self._opened: dict[tuple[Precision, bool], OpenVinoSession] = {}
        self._running = 0
        self._lock = Lock()

    def run_queries(self, tokens: Tokens) -> tuple[Vectors, NDArray[np.float32]]:
        """As `OpenVinoSession.run`; a lone text is shared by all cores, texts at once run beside each other."""
        beside = self._session(self._queries, together=False)
        together = self._session(self._queries, together=self._many_cores)
        with self._lock:
            self._running += 1
            alone = self._running == 1 and len(tokens.ids) == 1
        try:
            return (together if alone else beside).run(tokens)
        finally:
            with self._lock:
                self._running -= 1

    def run_documents(self, tokens: Tokens) -> tuple[Vectors, NDArray[np.float32]]:
        """As `OpenVinoSession.run`."""
        return self._session("fp32", together=False).run(tokens)

    def _session(self, precision: Precision, *, together: bool) -> OpenVinoSession:
        opened = self._opened.get((precision, together))
        if opened is not None:
            return opened
        with self._lock:
            if (precision, together) not in self._opened:
                self._opened[precision, together] = OpenVinoSession(self._model, precision, together=together)
            return self._opened[precision, together]


def convert(traced: Path, file: Path) -> None:
    """Write an ONNX model as OpenVINO's own, whose weights are mapped: processes share them. Raises `RuntimeError`."""
    core = _core()
    from openvino import save_model

    save_model(core.read_model(str(traced)), str(file), compress_to_fp16=False)


def native_precision() -> Precision:
    """bf16 where this machine multiplies it in hardware."""
    return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"


@cache
def _core() -> "Core":
    _silence()
    try:
        from openvino import Core
    except ImportError as error:
        raise EnvironmentMissing(
            "encoder_not_installed", "openvino is not installed", fix="pip install 'wordsight[server]'"
        ) from error
    _read_a_tensor()
    return Core()


def _silence() -> None:
    """OpenVINO reports its import to its maker's analytics, from a process that it forks. It does not do so where the
    package that reports can't be imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def _read_a_tensor() -> None:
    """Once, from one thread: where two threads read the first one at the same time, OpenVINO waits for ever.

    What is made at the first reading is guarded by a lock that is held while the interpreter is let go of.
    """
    from openvino import Tensor

    for kind in (np.int64, np.float32):
        tensor = Tensor(np.zeros(1, kind))
        tensor.data[:] = np.array(tensor.data)

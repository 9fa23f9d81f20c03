"""The one door to OpenVINO: token numbers to raw vectors."""

from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.tokenising import Tokens
from scenes.errors import EnvironmentMissing
from scenes.machine import cores

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model

OUTPUTS = ["vectors", "hidden"]
Precision = Literal["fp32", "bf16"]
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoSession:
    """An exported encoder. Safe from several threads.

    A text's numbers are the same to the last bit alone and in any batch, on one thread and on several.
    """

    def __init__(self, model: "CompiledModel") -> None:
        self._model = model
        self._inputs = {one.get_any_name() for one in model.inputs}
        self._mine = local()

    @classmethod
    def load(cls, file: Path, precision: Precision) -> "OpenVinoSession":
        """Calls run beside each other, each on one core.

        Raises `EnvironmentMissing` (`encoder_not_installed`) and `RuntimeError` for a file that is no model.
        """
        return cls.of(_core().read_model(str(file)), precision)

    @classmethod
    def of(cls, model: "Model", precision: Precision, *, together: bool = False) -> "OpenVinoSession":
        """Of a model that was read; `together` all cores share a call."""
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": cores(),
            "NUM_STREAMS": 1 if together else cores(),
            "ENABLE_CPU_PINNING": False,  # several processes would pin themselves to the same cores
        }
        return cls(_core().compile_model(model, "CPU", settings))

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


class QuerySessions:
    """A lone text is shared by all cores; texts at once run beside each other. The numbers are the same."""

    def __init__(self, file: Path, precision: Precision) -> None:
        """Raises as `OpenVinoSession.load`."""
        model = _core().read_model(str(file))
        self.precision = precision
        self.beside = OpenVinoSession.of(model, precision)
        self._together = OpenVinoSession.of(model, precision, together=True) if cores() > 1 else self.beside
        self._running = 0
        self._lock = Lock()

    def run(self, tokens: Tokens) -> tuple[Vectors, NDArray[np.float32]]:
        """As `OpenVinoSession.run`."""
        with self._lock:
            self._running += 1
            alone = self._running == 1 and len(tokens.ids) == 1
        try:
            return (self._together if alone else self.beside).run(tokens)
        finally:
            with self._lock:
                self._running -= 1


def convert(traced: Path, file: Path) -> None:
    """Write an ONNX model as OpenVINO's own, whose weights are mapped: processes share them. Raises `RuntimeError`."""
    from openvino import save_model

    save_model(_core().read_model(str(traced)), str(file), compress_to_fp16=False)


def native_precision() -> Precision:
    """bf16 where this machine multiplies it in hardware."""
    return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"


@cache
def _core() -> "Core":
    try:
        from openvino import Core
    except ImportError as error:
        raise EnvironmentMissing(
            "encoder_not_installed", "openvino is not installed", fix="pip install 'wordsight[server]'"
        ) from error
    return Core()

"""The one door to ONNX Runtime: token numbers to raw vectors."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.tokenising import Tokens
from scenes.errors import EnvironmentMissing

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OUTPUTS = ["vectors", "hidden"]
_QUIET = 3


class OnnxSession:
    """An exported encoder. Safe from several threads; each call keeps to `threads` of them.

    One thread a call, and as many calls at once as there are cores, beats many threads a call: threads that wait
    for each other lose most of their time as soon as anything else runs on the machine.
    """

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session
        self._inputs = {one.name for one in session.get_inputs()}

    @classmethod
    def load(cls, file: Path, threads: int = 1) -> "OnnxSession":
        """Raises `EnvironmentMissing` (`encoder_not_installed`)."""
        try:
            from onnxruntime import InferenceSession, SessionOptions
        except ImportError as error:
            raise EnvironmentMissing(
                "encoder_not_installed", "onnxruntime is not installed", fix="pip install 'wordsight[server]'"
            ) from error
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _QUIET
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return cls(InferenceSession(str(file), options, providers=["CPUExecutionProvider"]))

    def run(self, tokens: Tokens) -> tuple[Vectors, NDArray[np.float32]]:
        """Vectors float32 (n, dim), of any length, and hidden states float32 (n, longest, hidden)."""
        feeds = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "token_type_ids": np.zeros_like(tokens.ids)}
        wanted = {name: value for name, value in feeds.items() if name in self._inputs}
        vectors, hidden = self._session.run(OUTPUTS, wanted)
        return vectors, hidden

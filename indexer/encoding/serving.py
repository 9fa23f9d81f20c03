"""The encoder that answers queries: OpenVINO over an export that is made once, or torch where that is asked for."""

import time
from pathlib import Path
from typing import Literal

from indexer.encoding.encoder import Encoder
from indexer.encoding.files import EncoderFiles, find_encoder
from scenes.allowed.models import AllowedModels
from scenes.errors import BadInput, Corrupt, EnvironmentMissing, WordsightError
from scenes.weights.registry import models_folder, packaged_models
from scenes.wording import DEFAULT_WORDING

REMEMBERED_S = 30.0
"""So long a failure is answered from memory: not each search pays for reading a model that can't be loaded."""
Runtime = Literal["auto", "fp32", "torch"]
_FOLDER = "encoders"


class EncoderLoader:
    """Loads the encoders that collections name, and remembers for a while which could not be loaded.

    Safe from several threads.
    """

    def __init__(
        self, home: Path, models: AllowedModels | None, runtime: Runtime = "auto", *, ask_hub: bool = False
    ) -> None:
        """`models` says which encoders may be loaded, None any; servers and workers never ask a hub."""
        self._home, self._models = home, models
        self._runtime, self._ask_hub = runtime, ask_hub
        self._failed: dict[str | None, tuple[WordsightError, float]] = {}

    def __call__(self, name: str | None) -> Encoder:
        """Raises `EnvironmentMissing` (`encoder_not_allowed`), and as `load_encoder` does."""
        if self._models is not None:
            self._models.check_encoder(name, EnvironmentMissing)
        error, until = self._failed.get(name, (None, 0.0))
        if error is not None and time.monotonic() < until:
            raise type(error)(error.code, error.message, fix=error.fix, retry_after_s=until - time.monotonic())
        try:
            return load_encoder(name, self._home, runtime=self._runtime, ask_hub=self._ask_hub)
        except (BadInput, Corrupt, EnvironmentMissing) as failure:
            self._failed[name] = failure, time.monotonic() + REMEMBERED_S
            raise


def load_encoder(
    name: str | None,
    home: Path,
    *,
    runtime: Runtime = "auto",
    wording: str = DEFAULT_WORDING,
    ask_hub: bool = False,
) -> Encoder:
    """An encoder by name, ready to serve; its first load on a machine exports it, which needs torch and seconds.

    `runtime` is 'auto': queries in bf16 where this machine multiplies it in hardware and ranks by it as by fp32;
    'fp32': alike on machines of every kind; or 'torch'. All give the same vectors of documents (cosine ≥ 0.9999,
    checked) under the same recipe. A hub name is always run by torch: only a folder's files can be vouched for. What
    a hub's cache on this machine lacks is downloaded where `ask_hub` says so.
    Raises as `SentenceEncoder.load` and `export` do.
    """
    files = find_encoder(name)
    if runtime == "torch" or files.folder is None:
        from indexer.encoding.sentence_encoder import SentenceEncoder

        return SentenceEncoder.load(name, wording=wording, ask_hub=ask_hub)
    from indexer.encoding.exported_encoder import ExportedEncoder

    return ExportedEncoder.load(ensure_export(files, home, runtime), wording=wording)


def ensure_export(files: EncoderFiles, home: Path, runtime: Runtime = "auto") -> Path:
    """The folder of an encoder's export, made in the data folder where `wordsight models` has not made one."""
    from indexer.encoding.openvino_session import native_precision

    queries = native_precision() if runtime == "auto" else "fp32"
    shipped, own = export_folder(files, models_folder(), queries), export_folder(files, home, queries)
    chosen = shipped if files.name in packaged_models() and shipped.is_dir() else own
    if not chosen.is_dir():
        from indexer.encoding.export import export

        export(files, chosen, queries)
    return chosen


def export_folder(files: EncoderFiles, home: Path, queries: str) -> Path:
    """Where an export of exactly these files lies, made for this precision of queries."""
    from indexer.encoding.exported_encoder import EXPORT_VERSION

    return home / _FOLDER / f"{files.digest()}-{queries}-{EXPORT_VERSION}"

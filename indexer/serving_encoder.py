"""The encoder that answers queries: ONNX Runtime over an export that is made once, or torch where that is asked for."""

from pathlib import Path
from typing import Literal

from indexer.encoder import Encoder
from indexer.encoder_files import EncoderFiles, find_encoder
from scenes.models import models_folder, packaged_models
from scenes.wording import DEFAULT_WORDING

Runtime = Literal["onnx", "torch"]
_FOLDER = "encoders"


def load_encoder(name: str | None, home: Path, *, runtime: Runtime = "onnx", wording: str = DEFAULT_WORDING) -> Encoder:
    """An encoder by name, ready to serve; its first load on a machine exports it, which needs torch and seconds.

    Both runtimes give the same vectors (cosine ≥ 0.9999, checked) under the same recipe. A hub name is always run by
    torch: only a folder's files can be vouched for.
    """
    files = find_encoder(name)
    if runtime == "torch" or files.folder is None:
        from indexer.sentence_encoder import SentenceEncoder

        return SentenceEncoder.load(name, wording=wording)
    from indexer.onnx_encoder import OnnxEncoder

    return OnnxEncoder.load(ensure_export(files, home), wording=wording)


def ensure_export(files: EncoderFiles, home: Path) -> Path:
    """The folder of an encoder's export, made in the data folder where `wordsight models` has not made one."""
    shipped, own = export_folder(files, models_folder()), export_folder(files, home)
    chosen = shipped if files.name in packaged_models() and shipped.is_dir() else own
    if not chosen.is_dir():
        from indexer.onnx_export import export

        export(files, chosen)
    return chosen


def export_folder(files: EncoderFiles, home: Path) -> Path:
    """Where an export of exactly these files lies."""
    from indexer.onnx_encoder import EXPORT_VERSION

    return home / _FOLDER / f"{files.digest()}-fp32-{EXPORT_VERSION}"

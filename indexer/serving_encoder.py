"""The encoder that answers queries: OpenVINO over an export that is made once, or torch where that is asked for."""

from pathlib import Path
from typing import Literal

from indexer.encoder import Encoder
from indexer.encoder_files import EncoderFiles, find_encoder
from scenes.models import models_folder, packaged_models
from scenes.wording import DEFAULT_WORDING

Runtime = Literal["auto", "fp32", "torch"]
_FOLDER = "encoders"


def load_encoder(name: str | None, home: Path, *, runtime: Runtime = "auto", wording: str = DEFAULT_WORDING) -> Encoder:
    """An encoder by name, ready to serve; its first load on a machine exports it, which needs torch and seconds.

    `runtime` is 'auto': queries in bf16 where this machine multiplies it in hardware and ranks by it as by fp32;
    'fp32': alike on machines of every kind; or 'torch'. All give the same vectors of documents (cosine ≥ 0.9999,
    checked) under the same recipe. A hub name is always run by torch: only a folder's files can be vouched for.
    """
    files = find_encoder(name)
    if runtime == "torch" or files.folder is None:
        from indexer.sentence_encoder import SentenceEncoder

        return SentenceEncoder.load(name, wording=wording)
    from indexer.exported_encoder import ExportedEncoder

    return ExportedEncoder.load(ensure_export(files, home, runtime), wording=wording)


def ensure_export(files: EncoderFiles, home: Path, runtime: Runtime = "auto") -> Path:
    """The folder of an encoder's export, made in the data folder where `wordsight models` has not made one."""
    from indexer.openvino_session import native_precision

    queries = native_precision() if runtime == "auto" else "fp32"
    shipped, own = export_folder(files, models_folder(), queries), export_folder(files, home, queries)
    chosen = shipped if files.name in packaged_models() and shipped.is_dir() else own
    if not chosen.is_dir():
        from indexer.encoder_export import export

        export(files, chosen, queries)
    return chosen


def export_folder(files: EncoderFiles, home: Path, queries: str) -> Path:
    """Where an export of exactly these files lies, made for this precision of queries."""
    from indexer.exported_encoder import EXPORT_VERSION

    return home / _FOLDER / f"{files.digest()}-{queries}-{EXPORT_VERSION}"

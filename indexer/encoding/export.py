"""Export an encoder once, with torch, so that serving needs none; agreement is checked before the export is kept."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.encoding.agreement import shared_of_the_best
from indexer.encoding.encoder import Encoder
from indexer.encoding.exported_encoder import (
    EXPORT_VERSION,
    FACTS,
    KIND,
    MODEL,
    TOKENIZER,
    ExportedEncoder,
    ExportFacts,
)
from indexer.encoding.files import EncoderFiles
from indexer.encoding.openvino_session import OUTPUTS, Precision, convert
from indexer.encoding.sentence_encoder import SentenceEncoder
from indexer.encoding.token_head import copy_head
from scenes.artifact import write_folder
from scenes.errors import Corrupt, EnvironmentMissing
from scenes.wording import DEFAULT_WORDING

if TYPE_CHECKING:
    import torch

    _Rows = np.ndarray[Any, np.dtype[np.float32]]

AGREEMENT = 0.9999
SHARED = 0.99
"""Queries are computed in less than fp32 only where so many of the ten best are those of fp32."""
_OPSET = 17
_TRACED = "model.onnx"
_log = logging.getLogger(__name__)
_USE_TORCH = "set WORDSIGHT_ENCODER_RUNTIME=torch to run this encoder without an export"
PROBES = (
    "a cat",
    "Two dogs, one brown and one white, run along a sunny beach.",
    "Überraschung! 東京 ☂ naïve café №5 ½",
    "a red bus in the snow. " * 8,
    "The kitchen holds a wooden table, four chairs and a bowl of green apples near the window. " * 40,
)


def export(files: EncoderFiles, target: Path, queries: Precision) -> None:
    """Write an export of an encoder's folder to `target`, whole or not at all.

    `queries` is the precision that queries are to be computed in; it is fp32 where that would change rankings.

    Raises `EnvironmentMissing` (`encoder_export_failed`) for a model that can't be exported and `Corrupt`
    (`encoder_export_disagrees`) where its vectors are not torch's: cosine below 0.9999 on any probe.
    """
    encoder = SentenceEncoder.load(files.name)
    try:
        made = {"export": EXPORT_VERSION}
        write_folder(target, KIND, made, lambda folder: _fill(folder, encoder, files.folder, queries))
    except OSError:
        if not target.is_dir():  # else another process was quicker; its export is as good
            raise


def _fill(folder: Path, encoder: SentenceEncoder, source: Path | None, queries: Precision) -> None:
    tokenizer: Any = encoder.model.tokenizer
    try:
        (folder / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        _trace(encoder, folder / _TRACED)
        convert(folder / _TRACED, folder / MODEL)
        (folder / _TRACED).unlink()
        copy_head(source, folder)
    except (RuntimeError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise EnvironmentMissing(
            "encoder_export_failed", f"{encoder.recipe.model} can't be exported: {error}", fix=_USE_TORCH
        ) from error
    facts = ExportFacts(recipe=encoder.recipe, pad_token=int(tokenizer.pad_token_id or 0))
    exact = ExportedEncoder.opened(folder, facts, DEFAULT_WORDING)
    found = agreement(exact, encoder)
    if found < AGREEMENT:
        raise Corrupt("encoder_export_disagrees", f"the export agrees with torch only to {found:.5f}", fix=_USE_TORCH)
    facts = _for_queries(facts.model_copy(update={"agreement": found}), folder, exact, queries)
    (folder / FACTS).write_text(facts.model_dump_json(indent=1))


def _for_queries(facts: ExportFacts, folder: Path, exact: ExportedEncoder, queries: Precision) -> ExportFacts:
    """The same facts with the precision that queries may be computed in."""
    if queries == "fp32":
        return facts
    tried = facts.model_copy(update={"queries": queries})
    shared = shared_of_the_best(ExportedEncoder.opened(folder, tried, DEFAULT_WORDING), exact)
    if shared < SHARED:
        _log.warning("queries of %s stay in fp32: %s shares %.4f of the best", facts.recipe.model, queries, shared)
        return facts
    return tried.model_copy(update={"ranking": shared})


def agreement(one: Encoder, other: Encoder) -> float:
    """The least cosine between two encoders' vectors, words' too, of the probes, each alone and all in one batch."""
    alone = [_cosine(_both(one, [text]), _both(other, [text])) for text in PROBES]
    together = _cosine(_both(one, PROBES), _both(other, PROBES))
    return float(min(*alone, together))


def _cosine(ours: "list[_Rows]", theirs: "list[_Rows]") -> float:
    return float(min(np.sum(one * other, axis=1).min() for one, other in zip(ours, theirs, strict=True) if len(one)))


def _both(encoder: Encoder, texts: Sequence[str]) -> "list[_Rows]":
    encoded = [encoder.encode_queries(texts), encoder.encode_documents(texts)]
    return [part for one in encoded for part in (one.vectors, *one.words)]


def _trace(encoder: SentenceEncoder, file: Path) -> None:
    import torch

    model = encoder.model
    inner: Any = model[0]
    inner.auto_model.set_attn_implementation("eager")
    sample = dict(model.preprocess(["a cat on a mat", "two dogs"]))
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in sample]
    axes = {name: {0: "texts", 1: "tokens"} for name in names} | {
        "vectors": {0: "texts"},
        "hidden": {0: "texts", 1: "tokens"},
    }
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            _whole(model, names),
            tuple(sample[name].to("cpu") for name in names),
            str(file),
            dynamo=False,
            opset_version=_OPSET,
            input_names=names,
            output_names=OUTPUTS,
            dynamic_axes=axes,
        )
    model.eval()  # the export puts every stage back into training mode


def _whole(model: Any, names: Sequence[str]) -> "torch.nn.Module":
    import torch

    class Whole(torch.nn.Module):
        """Every stage of the model, from token numbers to one vector a text and one hidden state a token."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model.cpu().eval()

        def forward(self, *given: torch.Tensor) -> Any:
            features = dict(zip(names, given, strict=True))
            for stage in self.model:
                features = stage(features)
            return features["sentence_embedding"], features["token_embeddings"]

    return Whole()


@contextmanager
def _quiet() -> Iterator[None]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with warnings.catch_warnings(action="ignore"):
        yield

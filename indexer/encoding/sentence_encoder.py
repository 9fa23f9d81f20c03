"""The one door to sentence_transformers: text to unit vectors, nothing cut silently."""

import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Encoded, Spans, Vectors, Words
from indexer.encoding.files import EncoderFiles, find_encoder
from indexer.encoding.token_head import HEAD, WordHead, kept_tokens, read_head
from indexer.encoding.tokenizer import Tokeniser
from scenes.artifact import file_sha256
from scenes.errors import EnvironmentMissing
from scenes.recipe import EncoderRecipe
from scenes.weights.registry import encoder_model
from scenes.wording import DEFAULT_WORDING, view_names

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 32
_HUB_ANSWERS_S = 5.0
_DOWNLOADED_S = 900.0


class SentenceEncoder:
    """A sentence-transformers model, given by a packaged model's name, a folder or a hub name."""

    def __init__(self, model: "SentenceTransformer", head: WordHead, recipe: EncoderRecipe) -> None:
        self._model = model
        self._head = head
        self._recipe = recipe
        self._tokeniser: Tokeniser | None = None

    @classmethod
    def load(
        cls, name: str | None = None, *, wording: str = DEFAULT_WORDING, ask_hub: bool = False
    ) -> "SentenceEncoder":
        """Load an encoder; None is the shipped default, its digest verified.

        A hub name is read from the hub's cache on this machine; where it is not there it is downloaded, if `ask_hub`.
        Raises `EnvironmentMissing` (`model_missing`, `encoder_unavailable`) and `Corrupt` (`model_digest_wrong`).
        """
        files = find_encoder(name)
        model = _load(files.source) if files.folder is not None or not ask_hub else _load_or_download(files.name)
        projection = read_head(files.folder)
        return cls(model, WordHead(projection, _kept(model)), _recipe(files, model, projection, wording))

    @property
    def model(self) -> "SentenceTransformer":
        """The model itself, for exporting and training."""
        return self._model

    @property
    def recipe(self) -> EncoderRecipe:
        return self._recipe

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        return self._encode(texts, self._recipe.query_prompt)

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        return self._encode(texts, self._recipe.document_prompt)

    def locate_words(self, texts: Sequence[str]) -> list[Spans]:
        """Nothing where the model's tokenizer can't tell."""
        tokenizer: Any = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            return [np.empty((0, 2), np.int32)] * len(texts)
        if self._tokeniser is None:
            self._tokeniser = Tokeniser.copied(tokenizer.backend_tokenizer.to_str(), self._recipe.max_tokens)
        return self._tokeniser.locate(texts, self._recipe.document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str) -> Encoded:
        if not texts:
            return Encoded(np.empty((0, self._recipe.dimensions), np.float32), np.empty(0, np.bool_))
        prompted = [prompt + text for text in texts]
        vectors = np.empty((len(texts), self._recipe.dimensions), np.float32)
        words: dict[int, Words] = {}
        by_length = sorted(range(len(texts)), key=lambda row: len(prompted[row]))
        for start in range(0, len(texts), _BATCH):
            rows = by_length[start : start + _BATCH]
            vectors[rows], said = self._run([prompted[row] for row in rows])
            words.update(zip(rows, said, strict=True))
        return Encoded(vectors, self._truncated(prompted), tuple(words[row] for row in range(len(texts))))

    def _run(self, texts: list[str]) -> tuple[Vectors, list[Words]]:
        import torch
        from sentence_transformers.util import batch_to_device

        with torch.inference_mode():
            features = dict(batch_to_device(dict(self._model.preprocess(texts)), self._model.device))
            for stage in self._model:
                features = stage(features)
            vectors = torch.nn.functional.normalize(features["sentence_embedding"], dim=-1).float().cpu().numpy()
            hidden = features["token_embeddings"].float().cpu().numpy()
        lengths = features["attention_mask"].sum(1).tolist()
        tokens = [ids[:length] for ids, length in zip(features["input_ids"].tolist(), lengths, strict=True)]
        return vectors, [self._head.words(states, ids) for states, ids in zip(hidden, tokens, strict=True)]

    def _truncated(self, texts: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        tokenizer: Any = self._model.tokenizer
        lengths = [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]
        return np.array([length > self._recipe.max_tokens for length in lengths], dtype=np.bool_)


def quiet_library() -> None:
    """Makes sure that sentence-transformers can be imported, draws no progress bars and does not call its makers' hub.

    Raises `EnvironmentMissing` (`encoder_not_installed`).
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # else it fetches a list from the hub, whatever is loaded
    try:
        import sentence_transformers  # noqa: F401 - is it there?
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise EnvironmentMissing(
            "encoder_not_installed", "sentence-transformers is not installed", fix="pip install 'wordsight[server]'"
        ) from error
    disable_progress_bar()  # type: ignore[no-untyped-call]


def _load(source: str) -> "SentenceTransformer":
    """A model on this machine; no hub is asked."""
    quiet_library()
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(source, local_files_only=True)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, ImportError, SafetensorError) as error:
        raise _unavailable(source, f"can't be loaded from this machine: {error}") from error


def _load_or_download(name: str) -> "SentenceTransformer":
    """A hub's model: from its cache, else downloaded. The hub must answer soon, and the download end in time."""
    try:
        return _load(name)
    except EnvironmentMissing:
        _within(_HUB_ANSWERS_S, lambda: _ask_hub(name), name)
    _within(_DOWNLOADED_S, lambda: _download(name), name)
    return _load(name)


def _ask_hub(name: str) -> object:
    from huggingface_hub import HfApi

    return HfApi().model_info(name, timeout=_HUB_ANSWERS_S)


def _download(name: str) -> object:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(name)


def _within(seconds: float, work: Callable[[], object], name: str) -> None:
    """Do work on another thread, and leave it behind where it takes longer. Raises `EnvironmentMissing`."""
    failed: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, whatever a hub's client raises
            failed.put(error)
        else:
            failed.put(None)

    threading.Thread(target=run, name="hub", daemon=True).start()
    try:
        error = failed.get(timeout=seconds)
    except queue.Empty:
        raise _unavailable(name, f"could not be fetched from the model hub within {seconds:g} s") from None
    if error is not None:
        raise _unavailable(name, f"can't be fetched from the model hub: {error}") from error


def _unavailable(name: str, why: str) -> EnvironmentMissing:
    return EnvironmentMissing(
        "encoder_unavailable",
        f"the encoder {name!r} {why}",
        fix="name a packaged model (wordsight models), or a sentence-transformers folder on this machine",
    )


def _kept(model: "SentenceTransformer") -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    tokenizer: Any = model.tokenizer
    return kept_tokens(tokenizer.get_vocab().items(), tokenizer.all_special_ids, len(tokenizer))


def _recipe(
    files: EncoderFiles, model: "SentenceTransformer", projection: "NDArray[np.float32] | None", wording: str
) -> EncoderRecipe:
    prompts = model.prompts or {}
    inner: Any = model[0]
    return EncoderRecipe(
        model=encoder_model(files.name),
        weights_digest=files.weights_digest,
        wording=wording,
        views=len(view_names(wording)),
        dimensions=int(model.get_embedding_dimension() or 0),
        max_tokens=int(model.max_seq_length or 512),
        word_dimensions=int(inner.get_embedding_dimension() if projection is None else projection.shape[1]),
        word_head="" if projection is None or files.folder is None else file_sha256(files.folder / HEAD),
        query_prompt=prompts.get("query", ""),
        document_prompt=prompts.get("document", "") or prompts.get("passage", ""),
    )

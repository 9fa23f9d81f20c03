"""The real encoder: unit vectors, digest verified, nothing cut silently."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.encoding.sentence_encoder import SentenceEncoder
from scenes.errors import Corrupt, EnvironmentMissing
from scenes.weights.registry import DEFAULT_ENCODER, find_model

pytestmark = pytest.mark.encoder


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.load()


def test_similar_texts_are_near_and_vectors_are_unit_length(encoder: SentenceEncoder) -> None:
    query = encoder.encode_queries(["a cat"]).vectors
    documents = encoder.encode_documents(["a kitten sleeping", "a truck on a road"]).vectors
    assert query.dtype == np.float32
    assert np.allclose(np.linalg.norm(documents, axis=1), 1, atol=1e-5)
    assert query @ documents[0] > query @ documents[1]
    assert (encoder.recipe.dimensions, encoder.recipe.max_tokens) == (384, 256)


def test_a_text_longer_than_the_encoder_reads_is_flagged(encoder: SentenceEncoder) -> None:
    assert encoder.encode_documents(["short", "word " * 400]).truncated.tolist() == [False, True]


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(find_model(DEFAULT_ENCODER), tmp_path / DEFAULT_ENCODER)
    with (tmp_path / DEFAULT_ENCODER / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\x00\x01\x02\x03")
    monkeypatch.setenv("WORDSIGHT_MODELS", str(tmp_path))
    with pytest.raises(Corrupt, match="not the published file"):
        SentenceEncoder.load()
    with pytest.raises(EnvironmentMissing):
        SentenceEncoder.load("no-such-org/no-such-model")

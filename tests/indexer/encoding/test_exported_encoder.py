"""The export serves the vectors of the model it came from, under the same recipe, without torch."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.encoding.agreement import shared_of_the_best
from indexer.encoding.encoder import LocatesWords
from indexer.encoding.export import AGREEMENT, SHARED, agreement, export
from indexer.encoding.exported_encoder import MODEL, ExportedEncoder, batches, normalised
from indexer.encoding.files import find_encoder
from indexer.encoding.sentence_encoder import SentenceEncoder
from indexer.encoding.serving import Runtime, ensure_export, load_encoder
from indexer.encoding.tokenizer import Tokenised
from indexer.evaluation.synthetic_corpus import corpus
from scenes.errors import Corrupt
from tests.indexer.encoding.tiny_encoder import tiny_encoder

RUNTIMES: tuple[Runtime, ...] = ("auto", "fp32")
TEXTS = ["a cat", "Two dogs, one brown.", "", "ein Hünd im Schnee 雪", "a long street with shops " * 80]


@pytest.mark.encoder
def test_a_calibrated_folder_is_exported_once_and_agrees_with_torch(home: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(tiny_encoder(tmp_path))
    next(iter(model.parameters())).data.mul_(1.01)
    model.prompts = {"query": "look for: ", "document": "scene: "}
    model.max_seq_length = 64
    model.save(str(tmp_path / "calibrated"))
    name = str(tmp_path / "calibrated")
    torch_encoder, encoder = SentenceEncoder.load(name), load_encoder(name, home)
    assert isinstance(encoder, LocatesWords)
    assert encoder.recipe.fingerprint() == torch_encoder.recipe.fingerprint()
    assert encoder.recipe.query_prompt == "look for: "
    assert agreement(encoder, torch_encoder) >= AGREEMENT
    ours, theirs = encoder.encode_documents(TEXTS), torch_encoder.encode_documents(TEXTS)
    assert ours.truncated.tolist() == theirs.truncated.tolist() == [False, False, False, False, True]
    assert np.sum(ours.vectors * theirs.vectors, axis=1).min() >= AGREEMENT
    places, told = encoder.locate_words(TEXTS), torch_encoder.locate_words(TEXTS)
    assert [len(one) for one in places] == [len(one) for one in ours.words]
    assert all(np.array_equal(one, other) for one, other in zip(places, told, strict=True))
    assert [TEXTS[1][begin:end] for begin, end in places[1] if begin >= 0] == ["Two", "dogs", "one", "brown"]
    assert sum(end <= 0 for _, end in places[1]) == 1, "the prompt's word lies outside of the text"
    folder = ensure_export(find_encoder(name), home)
    with (folder / MODEL).with_suffix(".bin").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\x01\x02")
    with pytest.raises(Corrupt):
        load_encoder(name, home)


@pytest.mark.encoder
def test_the_shipped_encoder_agrees_with_torch(home: Path) -> None:
    assert agreement(load_encoder(None, home), SentenceEncoder.load(None)) >= AGREEMENT


@pytest.mark.encoder
def test_serving_needs_no_torch(home: Path) -> None:
    ensure_export(find_encoder(None), home)
    code = (
        "import sys, pathlib; from indexer.encoding.serving import load_encoder\n"
        f"encoded = load_encoder(None, pathlib.Path({str(home)!r})).encode_queries(['a cat'])\n"
        "print(encoded.vectors.shape, [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "(1, 384) []"


@pytest.mark.encoder
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_query_has_the_same_numbers_alone_and_in_any_batch(home: Path, runtime: Runtime) -> None:
    encoder = load_encoder(None, home, runtime=runtime)
    queries = corpus(1, 32, seed=3).queries
    queries += ["a red bus beside a blue one " * times for times in range(1, 9)] + ["a", "a cat", "a cat on a mat"]
    alone = [encoder.encode_queries([query]) for query in queries]
    together = encoder.encode_queries(queries)
    assert np.array_equal(np.concatenate([one.vectors for one in alone]), together.vectors)
    assert all(np.array_equal(one.words[0], words) for one, words in zip(alone, together.words, strict=True))


@pytest.mark.encoder
def test_queries_stay_in_fp32_where_less_would_change_rankings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("indexer.encoding.export.SHARED", 1.01)
    export(find_encoder(tiny_encoder(tmp_path)), tmp_path / "export", "bf16")
    assert ExportedEncoder.load(tmp_path / "export").precision == "fp32"
    assert "stay in fp32: bf16 shares" in caplog.text


@pytest.mark.encoder
def test_documents_are_in_fp32_whatever_queries_are(home: Path) -> None:
    auto, exact = (load_encoder(None, home, runtime=runtime) for runtime in RUNTIMES)
    assert np.array_equal(auto.encode_documents(TEXTS).vectors, exact.encode_documents(TEXTS).vectors)
    assert isinstance(auto, ExportedEncoder)
    assert auto.precision == "fp32" or shared_of_the_best(auto, exact) >= SHARED  # else they are the same


@given(st.lists(st.integers(1, 300), max_size=120))
def test_batches_hold_every_text_once_padded_by_its_own_length(lengths: list[int]) -> None:
    tokenised = Tokenised([[1] * length for length in lengths], np.zeros(len(lengths), np.bool_))
    found = batches(tokenised, most=300)
    assert sorted(row for batch in found for row in batch.rows) == list(range(len(lengths)))
    for batch in found:
        tokens = tokenised.batch(batch.rows, batch.length, pad=0)
        assert tokens.ids.shape == (len(batch.rows), batch.length)
        assert len(batch.rows) <= 32
        assert tokens.ids.size <= 4_096
        assert {min(300, math.ceil(lengths[row] / 16) * 16) for row in batch.rows} == {batch.length}
        assert tokens.mask.sum() == tokens.ids.sum() == sum(lengths[row] for row in batch.rows)


def test_a_zero_vector_stays_finite() -> None:
    assert np.isfinite(normalised(np.zeros((1, 4), np.float32))).all()

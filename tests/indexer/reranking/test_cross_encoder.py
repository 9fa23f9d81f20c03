"""A folder is a cross-encoder, or it is told why not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.reranking.cross_encoder import FolderReranker
from scenes.errors import BadInput
from scenes.weights.registry import BASE_ENCODER, find_model
from tests.indexer.reranking.rerankers import tiny_cross_encoder

pytestmark = pytest.mark.encoder
TEXTS = ["a red bus in snow", "a cat"]


def test_its_name_changes_with_whatever_changes_its_scores(tmp_path: Path) -> None:
    one = FolderReranker.load(tiny_cross_encoder(tmp_path / "mine"))
    again = FolderReranker.load(tiny_cross_encoder(tmp_path / "mine"))
    other = FolderReranker.load(tiny_cross_encoder(tmp_path / "mine", seed=1))
    settings = tmp_path / "mine" / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"model_max_length": 4}))
    shorter = FolderReranker.load(tmp_path / "mine")
    assert one.name.startswith("mine@")
    assert one.name == again.name
    assert len({one.name, other.name, shorter.name}) == 3
    assert other.scores("a", ["b"])[0] != pytest.approx(one.scores("a", ["b"])[0])


def test_scores_are_logits_whatever_the_folder_would_make_of_them(tmp_path: Path) -> None:
    folder = tiny_cross_encoder(tmp_path / "mine")
    plain = FolderReranker.load(folder).scores("a red bus", TEXTS)
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
    (folder / "config.json").write_text(json.dumps(config))
    assert FolderReranker.load(folder).scores("a red bus", TEXTS).tolist() == plain.tolist()
    assert min(plain) < -1


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def smaller(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 16}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (shutil.rmtree, "there is no folder"),
        (lambda folder: (folder / "config.json").unlink(), "config.json can't be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: tiny_cross_encoder(folder, labels=3), "3 scores, not one"),
        (cut, "can't be loaded"),
        (smaller, "can't be loaded"),
        (lambda folder: shutil.copytree(find_model(BASE_ENCODER), folder, dirs_exist_ok=True), "names no model"),
    ],
)
def test_what_is_no_cross_encoder_is_refused(tmp_path: Path, damage: Callable[[Path], object], told: str) -> None:
    folder = tiny_cross_encoder(tmp_path / "mine")
    damage(folder)
    with pytest.raises(BadInput, match=told) as refused:
        FolderReranker.load(folder)
    assert (refused.value.code, "folder" in (refused.value.fix or "")) == ("reranker_invalid", True)

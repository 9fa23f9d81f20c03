"""Measures where a tie is a miss, intervals, and the reading of datasets."""

import json
from pathlib import Path

import numpy as np
import pytest

from indexer.evaluation.composition import composed, read_composition
from indexer.evaluation.dataset import read_beir
from indexer.evaluation.intervals import interval, p_value
from indexer.evaluation.measures import measured
from scenes.description import SceneDescription
from scenes.errors import BadInput
from tests.beir import write_set

RELEVANT = {"q1": {"b": 1}, "q2": {"a": 1}}


def test_constant_scores_find_nothing_first() -> None:
    run = {query: dict.fromkeys("abcdefghijkl", 1.0) for query in RELEVANT}
    values = measured(run, RELEVANT, ["q1", "q2"])
    assert values["recall@1"].tolist() == values["recall@10"].tolist() == [0.0, 0.0]
    assert values["mrr"].tolist() == pytest.approx([1 / 12, 1 / 12])


def test_measures_follow_the_ranking_and_no_answer_is_zero() -> None:
    values = measured({"q1": {"b": 0.5, "a": 0.9, "c": 0.1}}, RELEVANT, ["q1", "q2"])
    assert values["recall@1"].tolist() == [0.0, 0.0]
    assert values["recall@5"].tolist() == [1.0, 0.0]
    assert values["mrr"].tolist() == [0.5, 0.0]
    assert values["ndcg@10"].tolist() == pytest.approx([1 / np.log2(3), 0.0])


def test_intervals_hold_the_mean_and_widen_with_clusters() -> None:
    values = np.tile([1.0, 0.0], 200)
    alone = interval(values, [str(n) for n in range(400)])
    grouped = interval(np.repeat([1.0, 0.0], 200), [str(n // 20) for n in range(400)])
    assert alone.low < alone.mean == 0.5 < alone.high
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_p_value_tells_a_difference_from_none() -> None:
    rng = np.random.default_rng(0)
    one, clusters = rng.random(300), [str(n) for n in range(300)]
    assert p_value(one + 0.3, one, clusters) < 0.01
    assert p_value(one, rng.permutation(one), clusters) > 0.05


def beir(folder: Path, corpus: list[dict], qrels: str) -> Path:
    return write_set(folder, corpus, [{"_id": "q", "text": "a dog"}, {"_id": "unjudged", "text": "x"}], qrels)


def test_plain_and_structured_descriptions_are_read(tmp_path: Path) -> None:
    corpus = [
        {"_id": "a", "title": "Park", "text": "A dog."},
        {"_id": "b", "description": {"objects": [{"name": "cat"}]}},
    ]
    read = read_beir(beir(tmp_path / "set", corpus, "q\ta\t1\nq\tb\t0\n"))
    assert read.queries == ("a dog",)
    assert [one.detail for one in read.documents] == ["Park\nA dog.", ""]
    assert read.relevant == {"q": {"a": 1}}


@pytest.mark.parametrize(
    ("corpus", "qrels", "told"),
    [
        ([{"_id": "a", "text": "x"}], "q\tz\t1\n", "lacks"),
        ([{"_id": "a", "text": "x"}, {"_id": "a", "text": "y"}], "q\ta\t1\n", "twice"),
        ([{"_id": "a", "text": ""}], "q\ta\t1\n", "'a'"),
        ([{"text": "x"}], "q\ta\t1\n", "corpus.jsonl:1"),
        ([{"_id": "a", "text": "x"}], "q\ta\tmuch\n", "test.tsv:2"),
        ([{"_id": "a", "text": "x"}], "other\ta\t1\n", "no query"),
    ],
)
def test_a_broken_set_is_refused_with_its_place(tmp_path: Path, corpus: list[dict], qrels: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        read_beir(beir(tmp_path / "set", corpus, qrels))


def shared_words(queries: list[str], descriptions: list[SceneDescription]) -> np.ndarray:
    pairs = zip(queries, descriptions, strict=True)
    return np.array([len(set(query.split()) & set(one.detail.split())) for query, one in pairs], np.float32)


def test_composition_counts_a_tie_as_a_miss_and_has_a_blind_column(tmp_path: Path) -> None:
    dataset = read_beir(beir(tmp_path / "set", [{"_id": "a", "text": "red bus"}], "q\ta\t1\n"))
    rows = [
        {"caption": "red bus", "negative": "blue bus", "kind": "replace_att", "doc_id": "a"},
        {"caption": "red bus", "negative": "bus red", "kind": "swap_att", "document": "red bus"},
        {"caption": "one cat", "negative": "two cat", "kind": "replace_att", "document": "one cat"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = composed(read_composition(path, dataset), shared_words)
    assert {name: round(one.mean, 2) for name, one in found.kinds.items()} == {
        "all": 0.67,
        "replace_att": 1.0,
        "swap_att": 0.0,
    }
    assert found.blind.mean < 0.5


def test_a_pair_without_a_document_is_refused(tmp_path: Path) -> None:
    dataset = read_beir(beir(tmp_path / "set", [{"_id": "a", "text": "red bus"}], "q\ta\t1\n"))
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"caption": "x", "negative": "y", "kind": "k", "doc_id": "zzz"}\n')
    with pytest.raises(BadInput, match="zzz"):
        read_composition(path, dataset)

"""The installed command, as a user runs it."""

import json
from pathlib import Path

import httpx
import psycopg
import pytest
from PIL import Image

from captioner.pipeline.samples import copy_samples
from tests.app.conftest import Command
from tests.app.serving import served
from tests.beir import write_set
from tests.captioner.scripted_server import scripted

pytestmark = [pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]

QUERIES = {
    "a cat": "chelsea",
    "a cup of coffee": "coffee",
    "a motorcycle": "motorcycle",
    "a flower": "flower",
    "a person in a military uniform": "grace_hopper",
}


def test_thirty_images_of_which_five_are_broken(command: Command, tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for i in range(25):
        Image.effect_noise((48, 48), 10 * i + 1).convert("RGB").save(source / f"{i}.png")
    (source / "text.jpg").write_text("not an image")
    (source / "empty.jpg").write_bytes(b"")
    (source / "cut.png").write_bytes((source / "7.png").read_bytes()[:200])
    Image.new("1", (12_000, 12_000)).save(source / "bomb.png")
    (source / "dangling.png").symlink_to(tmp_path / "nowhere")
    with scripted(says=json.dumps({"summary": "Noise.", "detail": "Grey noise."})) as engine:
        words, options = ("ingest", str(source), "--collection", "c", "--json"), ("--", "--base-url", engine)
        done = command.run(*words, "--engine", "openai", "--model", "scripted", *options)
        assert done.returncode == 1, done.stderr
        first = json.loads(done.stdout)
        (source / "dangling.png").unlink()
        again = command.run(*words, *options)
        assert again.returncode == 0, again.stderr
        second = json.loads(again.stdout)
    counts = {name: first[name] for name in ("described", "refused", "failed", "already", "inputs")}
    assert counts == {"described": 25, "refused": 4, "failed": 1, "already": 0, "inputs": 30}
    assert first["reasons"] == {"not_an_image": 1, "empty": 1, "truncated": 1, "too_large": 1, "read_error": 1}
    assert (second["described"], second["already"], second["inputs"]) == (0, 29, 29)
    assert list(command.home.glob("batches/*/*")) == []


def test_the_right_photograph_comes_first_whatever_its_name(command: Command, tmp_path: Path) -> None:
    copied = copy_samples(tmp_path / "samples")
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    names = {}
    wanted = [one for one in copied.items() if any(name in one[1].path for name in QUERIES.values())]
    others = [one for one in copied.items() if one not in wanted][:5]
    for i, (path, sample) in enumerate(sorted(wanted + others, reverse=True)):
        target = shuffled / f"dog-{i}{path.suffix}"
        target.write_bytes(path.read_bytes())
        names[target.as_uri()] = sample.path
    command.json("ingest", str(shuffled), "--collection", "photos", "--engine", "basic")
    key = command.json("key", "create", "--collection", "photos", "--scope", "search")["key"]
    with served(command.environment) as server, httpx.Client(headers={"Authorization": f"Bearer {key}"}) as client:
        address = f"{server.url}/v1/collections/photos/search"
        answers = {query: client.post(address, json={"query": query, "k": 1}).json() for query in QUERIES}
    best = {query: answer["results"][0] for query, answer in answers.items()}
    right = [wanted in names[best[query]["uri"]] for query, wanted in QUERIES.items()]
    assert sum(right) >= 4, best
    text = json.dumps([result["description"] for result in best.values()]).lower()
    assert not any(word in text for word in ("dog-", "chelsea", "skimage", str(tmp_path).lower()))


def test_import_and_search(animals: Command, tmp_path: Path) -> None:
    found = animals.json("search", "a bus in winter", "--collection", "animals", "--k", "1")
    assert found["results"][0]["external_id"] == "3"
    assert found["seconds"] > 0
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "9"}\n{"id": "10", "text": "a horse"}\n')
    told = animals.json("import", str(bad), "--collection", "animals", code=1)
    assert (told["imported"], told["rejected"], told["errors"][0]["line"]) == (1, 1, 1)
    with psycopg.connect(animals.database_url) as connection:  # as if nothing had embedded the horse
        connection.execute("DELETE FROM embeddings WHERE description_id = (SELECT max(id) FROM descriptions)")
    assert animals.json("collection", "show", "animals")["pending"] == 1
    waiting = animals.json("search", "a horse", "--collection", "animals")
    assert (waiting["pending"], len(waiting["results"])) == (1, 3)


def test_a_search_of_fields(animals: Command) -> None:
    found = animals.json("search", "a red bus", "--collection", "animals", "--field", "objects", "--field", "relations")
    assert found["results"][0]["external_id"] == "3"
    assert found["exists"] == 3  # of texts that were imported plain, the objects are read
    assert [one["field"] for one in found["results"][0]["evidence"]] == ["/objects/0"]
    texts = animals.json("search", "a red bus", "--collection", "animals", "--field", "detail")
    assert sorted(one["external_id"] for one in texts["results"]) == ["1", "2"]
    wrong = animals.run("search", "x", "-c", "animals", "--field", "colours")
    assert (wrong.returncode, "visible_text" in wrong.stderr) == (2, True)


def test_a_live_collection_is_measured_as_it_is_searched(animals: Command, tmp_path: Path) -> None:
    queries = [{"_id": "q", "text": "a bus in winter"}]
    write_set(tmp_path, [{"_id": "1", "text": "a cat"}, {"_id": "3", "text": "a bus"}], queries, "q\t3\t1\n")
    found = animals.json("eval", str(tmp_path), "--collection", "animals")
    assert (found["recall@1"], found["mrr"], found["queries"]) == (1.0, 1.0, 1)
    refused = animals.run("eval", str(tmp_path), "--collection", "animals", "--encoder", "x")
    assert (refused.returncode, "leave --encoder out" in refused.stderr) == (2, True)
    write_set(tmp_path, [{"_id": "other", "text": "a cat"}], queries, "q\tother\t1\n")
    foreign = animals.run("eval", str(tmp_path), "--collection", "animals")
    assert (foreign.returncode, "external_id" in foreign.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("search", "", "-c", "c"), 2, "at least 1 character"),
        (("search", "x" * 100_000, "-c", "c"), 2, "at most"),
        (("search", "x", "-c", "unknown"), 2, "no collection"),
        (("search", "x", "-c", "c", "--k", "0"), 2, "greater than or equal to 1"),
        (("ingest", "/nowhere-at-all", "-c", "c", "--engine", "basic"), 2, "there is no"),
        (("ingest", ".", "-c", "c"), 2, "no captioning engine was chosen"),
        (("ingest", ".", "-c", "c", "--engine", "vllm"), 3, "vLLM can't be imported"),
        (("ingest", ".", "-c", "Not A Name", "--engine", "basic"), 2, "name"),
        (("key", "create", "-c", "nope", "--scope", "search"), 2, "no collection"),
        (("key", "create", "-c", "*", "--scope", "search", "--name", "a\udcff"), 2, "lone surrogates"),
        (("key", "revoke", "a\udcff"), 2, "no key"),
        (("collection", "show", "a\udcff"), 2, "no collection"),
        (("collection", "delete", "c"), 2, "--yes"),
        (("no-such-command",), 2, "No such command"),
    ],
)
def test_wrong_input_is_told_clearly(command: Command, words: tuple[str, ...], code: int, told: str) -> None:
    done = command.run(*words)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


def test_the_schema_is_published(command: Command) -> None:
    assert command.json("schema")["title"] == "SceneDescription"


def test_a_damaged_index_is_found_and_mended(animals: Command) -> None:
    clean = animals.json("index", "verify", "--collection", "animals")
    assert (clean["rows"], clean["recall_at_10"], clean["drift"]) == (3, 1.0, [])
    for file in animals.home.glob("releases/*/*/vectors.f32"):
        file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    assert animals.json("index", "status", "--collection", "animals")["damage"]
    told = animals.json("index", "verify", "--collection", "animals", code=1)
    assert [one["kind"] for one in told["drift"]] == ["release_altered"]
    mended = animals.json("index", "repair", "--collection", "animals")
    assert (mended["drift"], [one["kind"] for one in mended["mended"]]) == ([], ["release_altered"])
    assert mended["release"] != clean["release"]
    old = animals.json("search", "an animal", "--collection", "animals", "--filter", '{"metadata.year": 2020}')
    assert ([one["external_id"] for one in old["results"]], old["exists"]) == (["1"], 1)
    assert animals.run("search", "x", "-c", "animals", "--filter", '{"year": 1}').returncode == 2

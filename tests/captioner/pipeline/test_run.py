"""The pipeline: four counts that add up, nothing described twice, a stop that loses nothing."""

import json
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from captioner.engines.engine import Answer, EngineFault, Reply, Request
from captioner.pipeline.run import caption
from captioner.pipeline.stop import Stop
from captioner.pipeline.tally import Tally
from captioner.sources import items
from scenes.errors import BadInput, Corrupt
from scenes.outcome import Described, FailureReason
from scenes.recipe import CaptionRecipe


class ScriptedDescriber:
    """Says the mean colour of a picture; pictures that are mostly red break it."""

    recipe = CaptionRecipe(engine="basic", model="scripted", prompt="p")

    slots = 4
    can_verify = False

    def __init__(self) -> None:
        self.asked = 0

    def submit(self, request: Request) -> "Future[Answer]":
        self.asked += 1
        future: Future[Answer] = Future()
        future.set_result(self._one(request))
        return future

    def close(self) -> None:
        pass

    def _one(self, request: Request) -> Reply | EngineFault:
        red, green, blue = request.picture.pixels.resize((1, 1)).getpixel((0, 0))
        if red > 200 and green < 50:
            return EngineFault(FailureReason.ENGINE_ERROR, "it broke")
        return Reply(json.dumps({"detail": f"a colour like {red} {green} {blue}"}), "stop", 5, 7, 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    for i in range(24):
        Image.new("RGB", (32, 32), (i * 8, 100, 100)).save(source / f"{i:02}.png")
    (source / "broken.jpg").write_bytes(b"hello")
    (source / "empty.jpg").write_bytes(b"")
    (source / "cut.png").write_bytes((source / "00.png").read_bytes()[:50])
    (source / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    Image.new("RGB", (32, 32), (255, 0, 0)).save(source / "poison.png")
    (source / "twin.png").write_bytes((source / "03.png").read_bytes())
    return source


def run(source: Path, out: Path, describer: ScriptedDescriber, stop: Stop | None = None) -> Tally:
    batches = BatchFolder.for_recipe(out, describer.recipe)
    return caption(items(str(source)), describer, batches, stop=stop or Stop())


def test_counts_add_up_and_a_second_run_describes_nothing(folder: Path, tmp_path: Path) -> None:
    describer = ScriptedDescriber()
    first = run(folder, tmp_path / "out", describer)
    assert (first.described, first.refused, first.failed, first.already, first.inputs) == (24, 3, 2, 1, 30)
    assert dict(first.reasons) == {
        "not_an_image": 1,
        "empty": 1,
        "truncated": 1,
        "read_error": 1,
        "engine_error": 1,
    }
    second = run(folder, tmp_path / "out", describer)
    assert (second.described, second.refused, second.failed, second.already, second.inputs) == (0, 0, 2, 28, 30)


def test_no_name_of_a_file_reaches_a_batch_but_its_uri(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "one", ScriptedDescriber())
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for i, path in enumerate(sorted(folder.glob("[0-9]*.png"), reverse=True)):
        (renamed / f"cat-{i}.png").write_bytes(path.read_bytes())
    run(renamed, tmp_path / "two", ScriptedDescriber())
    one, two = (described(tmp_path / name) for name in ("one", "two"))
    assert one == two


def described(out: Path) -> dict[str, str]:
    records = standing(BatchFolder.all_in(out)[0])
    found = [record.outcome for record in records if isinstance(record.outcome, Described)]
    return {outcome.image_id: outcome.description.detail for outcome in found}


def test_a_stop_keeps_what_was_described_and_resuming_finishes(folder: Path, tmp_path: Path) -> None:
    stop, describer = Stop(), ScriptedDescriber()
    batches = BatchFolder.for_recipe(tmp_path / "out", describer.recipe)
    tally = caption(
        items(str(folder)), describer, batches, stop=stop, tick=lambda tally: tally.described and stop.set()
    )
    assert tally.stopped
    assert 0 < tally.described == len(described(tmp_path / "out")) < 24
    run(folder, tmp_path / "out", describer)
    assert len(described(tmp_path / "out")) == 24


def test_an_altered_batch_is_told(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out", ScriptedDescriber())
    batches = BatchFolder.all_in(tmp_path / "out")[0]
    path = batches.files()[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Corrupt, match="altered or cut"):
        list(batches.records())


def test_an_empty_or_missing_source_is_told(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BadInput):
            list(items(str(source)))

"""What is known elsewhere is asked for several images at a time, and each image's digest is computed once."""

import io
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from captioner.batches.folder import BatchFolder
from captioner.images.decoding import Decoded, Wanted
from captioner.pipeline.lookup import SharedLookup
from captioner.pipeline.reading import READERS, read
from captioner.pipeline.run import caption
from captioner.sources import Item, items
from scenes.errors import EnvironmentMissing
from scenes.identity import image_id
from tests.captioner.conftest import ScriptedDescriber, png

IMAGES = 64


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for n in range(IMAGES):
        (folder / f"{n:02}.png").write_bytes(png((n, 2 * n, 3 * n)))
    return folder


class Catalog:
    """Knows every image, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, image_ids: Sequence[str]) -> set[str]:
        self.asked.append(list(image_ids))
        return set(image_ids)


def test_a_run_asks_for_several_images_at_a_time(source: Path, tmp_path: Path) -> None:
    describer, catalog = ScriptedDescriber(), Catalog()
    folder = BatchFolder.for_recipe(tmp_path / "out", describer.recipe)
    tally = caption(items(str(source)), describer, folder, known=catalog)
    assert (tally.already, tally.inputs, describer.asked) == (IMAGES, IMAGES, [])
    assert sorted(one for batch in catalog.asked for one in batch) == sorted(
        image_id(path.read_bytes()) for path in source.iterdir()
    )
    assert len(catalog.asked) <= IMAGES // 2
    assert max(map(len, catalog.asked)) <= READERS


def test_a_run_that_has_nobody_to_ask_waits_for_nothing(source: Path, tmp_path: Path) -> None:
    describer = ScriptedDescriber()
    tally = caption(items(str(source)), describer, BatchFolder.for_recipe(tmp_path / "out", describer.recipe))
    assert tally.described == IMAGES


def test_threads_that_wait_share_one_question_and_its_failure() -> None:
    asked: list[int] = []
    failed: list[str] = []

    def fail(image_ids: Sequence[str]) -> set[str]:
        asked.append(len(image_ids))
        raise EnvironmentMissing("database_silent", "no answer")

    lookup, begin = SharedLookup(fail, 4), threading.Barrier(4)

    def ask(n: int) -> None:
        begin.wait()
        try:
            lookup(str(n))
        except EnvironmentMissing as error:
            failed.append(error.code)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == ["database_silent"] * 4
    assert sum(asked) == 4


def test_the_digest_of_an_image_is_computed_once() -> None:
    data, digests = png((1, 2, 3)), 0

    def count(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal digests
        digests += event == "c_call" and called.__name__ == "openssl_sha256"

    item = Item("memory:1", lambda _limit: io.BytesIO(data).read())
    sys.setprofile(count)
    try:
        found = read(item, Wanted(64), lambda _id: False)
    finally:
        sys.setprofile(None)
    assert isinstance(found.result, Decoded)
    assert found.result.picture.image_id == found.image_id == image_id(data)
    assert digests == 1

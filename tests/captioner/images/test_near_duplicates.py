"""Near-duplicates share a description, keep their own rows, and never wait in vain."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image

from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from captioner.batches.repeated_descriptions import Clones
from captioner.engines.engine import Answer, EngineFault, Request
from captioner.images.near_duplicates import POLICY, WINDOW, Look, NearDuplicates, is_shared
from captioner.pipeline.run import Plan, caption
from captioner.pipeline.tally import Tally
from captioner.sources import items
from scenes.outcome import Described, FailureReason
from tests.captioner.conftest import ScriptedDescriber, describing, png


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    small = Image.frombytes("RGB", (12, 9), random.Random(seed).randbytes(12 * 9 * 3))
    return small.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five photographs, each four times: as it is, as a poor JPEG, smaller, a little brighter; and plain colours."""
    folder = tmp_path / "source"
    folder.mkdir()
    for seed in range(5):
        image = photo(seed)
        (folder / f"{seed}-a.png").write_bytes(encoded(image, "PNG"))
        (folder / f"{seed}-b.jpg").write_bytes(encoded(image, "JPEG", quality=60))
        (folder / f"{seed}-c.png").write_bytes(encoded(image.resize((120, 90)), "PNG"))
        (folder / f"{seed}-d.png").write_bytes(encoded(image.point(lambda v: min(255, v + 4)), "PNG"))
    for n in range(6):
        (folder / f"plain-{n}.png").write_bytes(png((n * 40, 255 - n * 40, 9)))
    return folder


def run(source: Path, out: Path, script: object = describing, **more: object) -> tuple[Tally, BatchFolder, int]:
    describer = ScriptedDescriber(script)  # type: ignore[arg-type]
    recipe = describer.recipe.model_copy(update={"near_duplicates": POLICY})
    folder = BatchFolder.for_recipe(out, recipe)
    return caption(items(str(source)), describer, folder, **more), folder, len(describer.asked)  # type: ignore[arg-type]


def test_each_keeps_its_row_and_one_of_each_is_asked(source: Path, tmp_path: Path) -> None:
    tally, folder, asked = run(source, tmp_path / "out")
    assert (tally.described, tally.inputs) == (26, 26)
    assert asked == 5 + 6
    found = [record.outcome for record in standing(folder) if isinstance(record.outcome, Described)]
    texts = {one.description.summary for one in found}
    assert (len(found), len({one.image_id for one in found}), len(texts)) == (26, 26, 11)
    followers = [one for one in found if is_shared(one)]
    assert len(followers) == 15
    assert {one.usage.attempts for one in followers} == {0}


def test_what_is_shared_is_no_clone(source: Path, tmp_path: Path) -> None:
    _, folder, _ = run(source, tmp_path / "out")
    clones = Clones(folder)
    assert not any(clones.has(record) for record in standing(folder))
    clones.close()


def test_those_that_wait_get_the_failure_too_and_the_redacted_text(source: Path, tmp_path: Path) -> None:
    def late(_request: Request) -> Answer:
        return EngineFault(FailureReason.TIMEOUT, "late")

    tally, _, _ = run(source, tmp_path / "failed", late)
    assert (tally.failed, dict(tally.reasons)) == (26, {"timeout": 26})

    def redact(outcome: Described) -> Described:
        return outcome.model_copy(update={"description": outcome.description.model_copy(update={"summary": "[name]"})})

    _, folder, _ = run(source, tmp_path / "redacted", plan=Plan(redact=redact))  # type: ignore[arg-type]
    assert {r.outcome.description.summary for r in standing(folder) if isinstance(r.outcome, Described)} == {"[name]"}


def test_without_the_policy_every_image_is_asked(source: Path, tmp_path: Path) -> None:
    describer = ScriptedDescriber()
    caption(items(str(source)), describer, BatchFolder.for_recipe(tmp_path / "out", describer.recipe))
    assert len(describer.asked) == 26


def test_the_window_is_bounded_and_forgets_only_who_has_an_outcome() -> None:
    near = NearDuplicates()
    for n in range(WINDOW + 50):
        look = Look(random.Random(n).getrandbits(64), bytes(48))
        assert near.leader(f"{n:064x}", look) is None
    assert near.leader("f" * 64, Look(random.Random(0).getrandbits(64), bytes(48))) == f"{0:064x}"
    for n in range(WINDOW + 50):
        near.settled(Described(image_id=f"{n:064x}", description={"detail": "x"}), 0)  # type: ignore[arg-type]
    for n in range(WINDOW, 2 * WINDOW):
        near.leader(f"{n:064x}", Look(random.Random(-n).getrandbits(64), bytes(48)))
    assert len(near._leaders) <= WINDOW + 51

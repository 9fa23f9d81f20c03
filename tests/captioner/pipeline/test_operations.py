"""Retry, clones, status, estimate, budgets, sweeping: over the scripted engine and the folder alone."""

import json
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioner.batches.cleanup import sweep
from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable
from captioner.batches.latest_records import standing
from captioner.batches.repeated_descriptions import Clones
from captioner.batches.retry import items_again, next_round, wanted
from captioner.batches.rows import Record, from_row, to_row
from captioner.batches.status import status
from captioner.engines.engine import Answer, EngineFault, Reply, Request
from captioner.engines.options import parse
from captioner.pipeline.estimate import estimate
from captioner.pipeline.progress import Journal, last_engine_options
from captioner.pipeline.reading import Held
from captioner.pipeline.run import Plan, caption
from captioner.pipeline.tally import Pace, Tally
from captioner.sources import Shard, items
from scenes.description import SceneDescription
from scenes.identity import image_id
from scenes.outcome import Described, Failed, FailureReason
from tests.captioner.conftest import ScriptedDescriber, describing, png


@pytest.fixture
def twelve(tmp_path: Path) -> Path:
    folder = tmp_path / "twelve"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n}.png").write_bytes(png((n * 20, 5, 250 - n * 20)))
    return folder


def run(source: Path, out: Path, script: object = describing, **more: object) -> tuple[Tally, BatchFolder]:
    describer = ScriptedDescriber(script)  # type: ignore[arg-type]
    folder = BatchFolder.for_recipe(out, describer.recipe)
    return caption(items(str(source)), describer, folder, **more), folder  # type: ignore[arg-type]


def broken(_request: Request) -> Answer:
    return EngineFault(FailureReason.TIMEOUT, "late")


def same(_request: Request) -> Answer:
    return Reply(json.dumps({"detail": "A picture."}), "stop", 10, 5, 0.0)


def again(folder: BatchFolder, reason: str, script: object) -> Tally:
    describer = ScriptedDescriber(script)  # type: ignore[arg-type]
    plan = Plan(round=next_round(folder), first_attempt=2)
    return caption(items_again(folder, reason), describer, folder, plan=plan, finished=IdTable())


def test_failures_are_retried_by_reason_and_only_they(twelve: Path, tmp_path: Path) -> None:
    _, folder = run(twelve, tmp_path / "out", broken)
    assert status(tmp_path / "out").reasons == {"timeout": 12}
    assert list(wanted(folder, "reply_cut")) == []
    assert again(folder, "timeout", describing).described == 12
    assert again(folder, "all", describing).inputs == 0
    found = status(tmp_path / "out")
    assert (found.described, found.failed, found.reasons) == (12, 0, {})


def test_clones_are_counted_and_a_retry_outranks_them(twelve: Path, tmp_path: Path) -> None:
    _, folder = run(twelve, tmp_path / "out", same)
    assert status(tmp_path / "out").clones == 12
    warm = []

    def looking(request: Request) -> Answer:
        warm.append(request.sampling.temperature)
        return describing(request)

    assert again(folder, "clone", looking).described == 12
    assert set(warm) == {0.3}
    found = status(tmp_path / "out")
    assert (found.described, found.clones) == (12, 0)
    with closing(Clones(folder)) as clones:
        assert not any(clones.has(record) for record in standing(folder))


def test_a_failed_retry_takes_no_description_away(twelve: Path, tmp_path: Path) -> None:
    _, folder = run(twelve, tmp_path / "out", same)
    assert again(folder, "clone", broken).failed == 12
    assert status(tmp_path / "out").described == 12


def test_a_budget_ends_a_run_cleanly_and_the_next_goes_on(twelve: Path, tmp_path: Path) -> None:
    first, _ = run(twelve, tmp_path / "out", plan=Plan(budget_tokens=60))
    assert first.ended_by == "budget"
    assert 0 < first.described < 12
    second, _ = run(twelve, tmp_path / "out")
    assert (second.already, second.described, second.ended_by) == (first.described, 12 - first.described, None)


def test_status_knows_what_is_pending(twelve: Path, tmp_path: Path) -> None:
    tally, folder = run(twelve, tmp_path / "out", plan=Plan(budget_tokens=60))
    journal = Journal(folder, str(twelve), Shard())
    while journal.total.value is None:
        pass
    journal.end(tally)
    assert status(tmp_path / "out").pending == 12 - tally.described
    tally, folder = run(twelve, tmp_path / "out")
    journal.end(tally)
    assert status(tmp_path / "out").pending == 0


def test_an_estimate_is_in_proportion_to_its_sample(twelve: Path) -> None:
    describer = ScriptedDescriber()
    told = estimate(items(str(twelve)), describer, describer.recipe, size=4, plan=Plan())
    assert (told.images, told.sample.inputs, told.tokens_in, told.tokens_out) == (12, 4, 120, 60)
    assert told.disk_bytes > 0
    assert told.hours > 0


def test_sources_go_only_when_described_and_after_their_grace(thirty: Path, tmp_path: Path) -> None:
    (thirty / "twin.png").write_bytes((thirty / "03.png").read_bytes())
    _, folder = run(thirty, tmp_path / "out")
    (thirty / "05.png").write_bytes(png((1, 1, 1)))
    waiting = sweep(items(str(thirty)), folder, timedelta(hours=1))
    assert (waiting.deleted, waiting.waiting) == (0, 25)
    swept = sweep(items(str(thirty)), folder, timedelta())
    assert (swept.deleted, swept.waiting, swept.kept) == (25, 0, 6)
    left = sorted(path.name for path in thirty.iterdir())
    assert left == ["05.png", "25.png", "26.png", "27.png", "28.png", "29.png"]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=300))
def test_an_id_table_is_a_dictionary(pairs: list[tuple[int, int]]) -> None:
    with closing(IdTable()) as table:
        plain: dict[str, int] = {}
        for n, value in pairs:
            key = image_id(str(n).encode())
            assert table.put(key, value) == plain.get(key, 0)
            plain[key] = value
        assert {key: table.get(key) for key in plain} == plain
        assert (len(table), table.counts()) == (len(plain), dict(Counter(plain.values())))


def test_an_id_table_grows() -> None:
    with closing(IdTable()) as table:
        keys = [image_id(str(n).encode()) for n in range(10_000)]
        for n, key in enumerate(keys):
            table.put(key, n % 255 + 1)
        assert [table.get(key) for key in keys] == [n % 255 + 1 for n in range(10_000)]
        assert table.get(image_id(b"another")) == 0


_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40).filter(str.strip)


@given(_WORDS, _WORDS, st.integers(0, 9), st.sampled_from(FailureReason))
def test_a_record_survives_its_row(words: str, uri: str, round_: int, reason: FailureReason) -> None:
    described = Described(
        image_id="a" * 64, description=SceneDescription(detail=words), support={"/objects/0": 0.5}, notes=(words,)
    )
    failed = Failed(image_id="b" * 64, reason=reason, detail=words, last_reply=words)
    empty = dict.fromkeys(("reason", "detail", "description", "support", "notes", "last_reply"))
    for outcome in (described, failed):
        record = Record(outcome, uri, round_)
        assert from_row(empty | to_row(record)) == record


def test_the_pace_looks_at_five_minutes() -> None:
    pace = Pace(now=0.0)
    for second in range(1, 1001):
        pace.mark(second if second <= 500 else 500 + 3 * (second - 500), now=float(second))
    assert pace.recent == pytest.approx(3.0, rel=0.01)
    assert pace.overall == pytest.approx(2.0)
    assert pace.seconds_left(300) == pytest.approx(100, rel=0.01)


def test_engine_options_are_remembered_but_no_secret(twelve: Path, tmp_path: Path) -> None:
    words = ["--base-url", "http://127.0.0.1:9/v1", "--api-key", "hush", "--concurrency=4"]
    tally, folder = run(twelve, tmp_path / "out")
    journal = Journal(folder, str(twelve), Shard(), [*words, "--proxy", "http://me:hush@host"])
    journal.end(tally)
    remembered = last_engine_options(folder)
    assert parse(remembered) == {"base_url": "http://127.0.0.1:9/v1", "concurrency": 4}
    assert not any(b"hush" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_bytes_that_are_held_are_bounded() -> None:
    held = Held(100)
    assert held.take(250, lambda: False)
    assert not held.take(1, lambda: True)
    held.give_back(250)
    assert held.take(60, lambda: False)
    assert held.take(40, lambda: False)
    assert not held.take(1, lambda: True)

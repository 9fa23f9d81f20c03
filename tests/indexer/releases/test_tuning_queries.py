"""Phrases of a collection's own texts tune its index, and stay with the release that they tuned."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.releases.consistency import verify
from indexer.releases.release import build, releases_folder
from indexer.releases.tuning_queries import kept, likely, phrases
from scenes.catalog.connection import Catalog
from scenes.recipe import IndexRecipe
from tests.indexer.world import World


@given(st.lists(st.text("ab c", max_size=60)), st.integers(0, 1_000))
def test_a_phrase_is_a_run_of_its_texts_words(texts: list[str], seed: int) -> None:
    worded = [text for text in texts if text.split()]
    found = phrases(texts, seed)
    assert found == phrases(texts, seed)
    assert len(found) == len(worded)
    for phrase, text in zip(found, worded, strict=True):
        assert f" {phrase} " in f" {' '.join(text.split())} "
        assert min(5, len(text.split())) <= len(phrase.split()) <= 8


@pytest.mark.postgres
@pytest.mark.faiss
async def test_a_tuned_release_keeps_its_queries_and_is_verified_with_them(catalog: Catalog, home: Path) -> None:
    world = World(catalog, home)
    random = np.random.default_rng(4)
    await world.add(*{" ".join(random.choice(list("abcdefghijklmnop"), 12)) for _ in range(600)})
    await world.refresh()
    row = await world.collection()
    queries = partial(likely, catalog, row.id, world.encoder)
    asked = await queries()
    assert asked.shape == (400, 32)
    assert np.array_equal(asked, await queries())
    kind = IndexRecipe(kind="hnsw-int8", parameters={"size": 8})
    release = await build(catalog, row, world.encoder.recipe, home, kind, queries)
    folder = releases_folder(home) / release.folder
    assert np.array_equal(asked, kept(folder, 32))  # type: ignore[arg-type]
    report = await verify(catalog, await world.collection(), world.encoder.recipe, home)
    assert (report.drift, report.recall_at_10) == ((), release.recall_at_10)
    bare = await build(catalog, row, world.encoder.recipe, home, kind)
    assert kept(releases_folder(home) / bare.folder, 32) is None

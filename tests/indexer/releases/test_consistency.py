"""Every kind of drift between Postgres and the index is found, mended, and not found again."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from indexer.encoding.embedding import embed_missing
from indexer.releases.consistency import Kind, verify
from indexer.releases.release import KIND, build, open_release, releases_folder
from indexer.releases.repair import repair
from indexer.releases.searcher import Searcher
from indexer.vectors.faiss_index import Effort, FaissIndex
from indexer.vectors.vector_store import VECTORS
from scenes.artifact import MANIFEST, file_sha256, write_folder
from scenes.catalog.connection import Catalog
from scenes.recipe import EncoderRecipe, IndexRecipe
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
TEXTS = ("aaa", "bbb", "ccc", "abc")


async def sql(world: World, statement: str) -> None:
    """Behind the catalog's back: no generation, no tombstone, no notice."""
    async with world.catalog.writing() as session:
        await session.execute(text(statement))


async def folder(world: World) -> Path:
    return releases_folder(world.home) / (await world.active()).folder


async def lose_the_folder(world: World) -> None:
    shutil.rmtree(await folder(world))


async def lose_a_file(world: World) -> None:
    (await folder(world) / VECTORS).unlink()


async def alter_a_byte(world: World) -> None:
    file = await folder(world) / VECTORS
    data = bytearray(file.read_bytes())
    data[9] ^= 1
    file.write_bytes(bytes(data))


async def bring_back_the_folder_of_an_old_release(world: World) -> None:
    now = await folder(world)
    async with world.catalog.reading() as session:
        old = (await session.execute(text("SELECT previous_release FROM collections"))).scalar_one()
    shutil.rmtree(now)
    shutil.copytree(now.with_name(str(old)), now)


async def name_a_release_that_never_was(world: World) -> None:
    await sql(world, f"UPDATE collections SET active_release = '{uuid4()}'")


async def put_back_an_older_postgres(world: World) -> None:
    await sql(world, "UPDATE collections SET generation = 1")
    await sql(world, "UPDATE images SET generation = 1")


async def activate_another_encoders_release(world: World) -> None:
    other = EncoderRecipe.model_validate(world.encoder.recipe.model_dump() | {"model": "other"})
    await sql(world, f"INSERT INTO encoder_recipes VALUES ('{other.fingerprint()}', '{{}}')")
    await sql(world, f"UPDATE releases SET encoder = '{other.fingerprint()}'")


async def take_the_previous_release_away(world: World) -> None:
    for path in (releases_folder(world.home) / str((await world.collection()).id)).iterdir():
        if path.name != str((await world.active()).id):
            shutil.rmtree(path)


async def leave_what_a_killed_build_leaves(world: World) -> None:
    (await folder(world)).with_name(f".{uuid4()}.gathering").mkdir()


async def add_vectors_that_nobody_heard_of(world: World) -> None:
    await world.add("new")
    await embed_missing(world.catalog, (await world.collection()).id, world.encoder)
    await sql(world, "UPDATE images SET generation = 1 WHERE external_id = 'new'")


async def delete_without_a_tombstone(world: World) -> None:
    await sql(world, "DELETE FROM images WHERE external_id = 'aaa'")


async def exchange_vectors(world: World) -> None:
    await sql(
        world,
        "UPDATE embeddings e SET vectors = (SELECT vectors FROM embeddings f WHERE f.description_id <> e.description_id"
        " ORDER BY f.description_id DESC LIMIT 1) WHERE description_id = (SELECT min(description_id) FROM embeddings)",
    )


async def cut_vectors_short(world: World) -> None:
    await sql(world, "UPDATE embeddings SET vectors = '\\x00' WHERE description_id = 1")


async def zero_vectors(world: World) -> None:
    await sql(
        world, "UPDATE embeddings SET vectors = decode(repeat('00', octet_length(vectors)), 'hex') WHERE NOT truncated"
    )


async def edit_without_embedding(world: World) -> None:
    await world.edit("aaa", "ddd")


INJECTED: dict[Callable[[World], Awaitable[None]], Kind] = {
    lose_the_folder: "release_lost",
    lose_a_file: "release_altered",
    alter_a_byte: "release_altered",
    bring_back_the_folder_of_an_old_release: "release_altered",
    name_a_release_that_never_was: "release_unknown",
    put_back_an_older_postgres: "release_ahead",
    activate_another_encoders_release: "release_of_another_encoder",
    take_the_previous_release_away: "previous_damaged",
    leave_what_a_killed_build_leaves: "stray_folder",
    add_vectors_that_nobody_heard_of: "missing",
    delete_without_a_tombstone: "extra",
    exchange_vectors: "stale",
    cut_vectors_short: "invalid",
    zero_vectors: "invalid",
    edit_without_embedding: "unembedded",
}


def test_every_kind_is_injected() -> None:
    elsewhere = {"recall_below_promise"}  # of an index that is whole but badly tuned: test_a_badly_tuned_index_is_told
    assert set(INJECTED.values()) | elsewhere == set(get_args(Kind))


@pytest.mark.parametrize("inject", INJECTED, ids=lambda inject: inject.__name__)
async def test_drift_is_found_and_mended(
    catalog: Catalog, home: Path, inject: Callable[[World], Awaitable[None]]
) -> None:
    world = World(catalog, home)
    await world.add(*TEXTS[:3])
    await world.refresh(always=True)
    await world.add(*TEXTS[3:])
    await world.refresh(always=True)
    clean = await verify(catalog, await world.collection(), world.encoder.recipe, home)
    assert (clean.drift, clean.rows, clean.recall_at_10) == ((), 4, 1.0)
    await inject(world)
    done = await repair(catalog, await world.collection(), world.encoder, home)
    assert INJECTED[inject] in {drift.kind for drift in done.before.drift}
    assert done.after.drift == ()
    async with catalog.reading() as session:
        rows = (await session.execute(text("SELECT external_id FROM images"))).scalars().all()
    fresh = Searcher(catalog, world.encoder.recipe, home)
    for searcher in (world.searcher, fresh):
        assert sorted(await world.find("abc", 10, searcher)) == sorted(rows)
    assert fresh.troubles() == {}
    if inject is edit_without_embedding:
        assert (await world.find("ddd", 1))[0] == "aaa"


async def test_a_badly_tuned_index_is_told_and_tuned_anew(catalog: Catalog, home: Path) -> None:
    world = World(catalog, home)
    random = np.random.default_rng(4)
    await world.add(*{"".join(random.choice(list("abcdefghijklmnop"), 12)) for _ in range(2_500)})
    await world.refresh()
    kind = IndexRecipe(kind="ivf-sq8", parameters={"size": 64})
    good = await build(catalog, await world.collection(), world.encoder.recipe, home, kind)
    index = open_release(good, home)
    assert isinstance(index, FaissIndex)
    beside = home / "beside"
    write_folder(beside, KIND, {}, index.with_effort(Effort((1, 1, 1), 2)).save)
    shutil.rmtree(await folder(world))
    beside.rename(await folder(world))
    await sql(world, f"UPDATE releases SET manifest_sha256 = '{file_sha256(await folder(world) / MANIFEST)}'")
    done = await repair(catalog, await world.collection(), world.encoder, home)
    assert {"recall_below_promise"} <= {drift.kind for drift in done.before.drift}
    assert done.after.drift == ()

"""Random interleavings of everything that happens to an index, against a plain reference in memory.

The reference knows each image's descriptions, which of them have vectors and which is current, and nothing of
generations, releases or deltas. Every search must give exactly what brute force over the reference gives; where a
release's index is approximate, every image and score told must be right, and nearly none of the best may be left out.
"""

import asyncio
import contextlib
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.embedding import embed, embed_missing
from indexer.releases.release import build, prune, releases_folder
from indexer.releases.searcher import Found, Searcher
from indexer.vectors.faiss_index import FaissIndex
from indexer.vectors.scoring import exact_scores
from scenes.catalog import collections, embeddings, history, images, publishing, recipes, releases
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import NotFound, WordsightError
from scenes.identity import external_image_id
from scenes.recipe import IndexRecipe
from scenes.wording import whole_text
from tests.indexer.letters import BagOfLetters

EXACT = IndexRecipe(kind="exact")
GRAPH = IndexRecipe(kind="hnsw-int8", parameters={"size": 4})
LISTS = IndexRecipe(kind="ivf-sq8", parameters={"size": 8})
LETTERS = "abcdefgh"
WEIGHTS = {
    "publish": 20,
    "embed": 10,
    "embed_one": 6,
    "edit": 8,
    "undo": 5,
    "delete": 7,
    "build": 5,
    "rollback": 2,
    "killed_build": 2,
    "restart": 4,
    "damage": 2,
    "lose": 1,
    "search": 34,
}


@dataclass
class Reference:
    """One image: its texts in the order they came, those with vectors, the current one; an edit outranks imports."""

    texts: list[str] = field(default_factory=list)
    embedded: set[str] = field(default_factory=set)
    current: str = ""
    edits: set[str] = field(default_factory=set)

    def imported(self, text: str) -> None:
        self.texts += [] if text in self.texts else [text]
        self.current = self.current if self.current in self.edits else text

    def edit(self, text: str) -> None:
        self.texts.append(text)
        self.edits.add(text)
        self.current = text

    def undo(self) -> None:
        self.current = self.texts[max(0, self.texts.index(self.current) - 1)]

    @property
    def served(self) -> str | None:
        return self.current if self.current in self.embedded else None


class Interleaving:
    """One collection, one reference, two searchers with different pasts."""

    def __init__(
        self, catalog: Catalog, home: Path, seed: int, images: int = 40, kinds: tuple[IndexRecipe, ...] = (EXACT,)
    ) -> None:
        """Releases are of one of the `kinds` each; `images` is how many there can be at once."""
        self.names = [f"image-{i}" for i in range(images)]
        self.kinds = kinds
        self.wanted = self.found = 0
        self.random = np.random.default_rng(seed)
        self.catalog, self.home, self.encoder = catalog, home, BagOfLetters()
        self.name = f"c{seed}"
        self.reference: dict[str, Reference] = {}
        self.done: Counter[str] = Counter()
        self.edits = 0

    async def start(self) -> None:
        async with self.catalog.writing() as session:
            self.id = (await collections.ensure(session, Collection(name=self.name))).id
            await recipes.remember_encoder(session, self.encoder.recipe)
        self.searchers = [self._searcher(), self._searcher()]

    async def run(self, steps: int) -> None:
        """So many random steps, and a last search from a fresh start. Raises `AssertionError` for a wrong answer."""
        names, weights = list(WEIGHTS), np.array(list(WEIGHTS.values()), float)
        for _ in range(steps):
            name = str(self.random.choice(names, p=weights / weights.sum()))
            await getattr(self, name)()
            self.done[name] += 1
        await self.restart()
        for searcher in self.searchers:
            await self._compare(searcher)

    async def publish(self) -> None:
        rows = []
        for name in {self._name() for _ in range(int(self.random.integers(1, len(self.names) // 8)))}:
            text = self._text()
            description = SceneDescription(detail=text)
            rows.append(Publication(external_image_id(name), "external", description, "import", text, external_id=name))
            self.reference.setdefault(name, Reference()).imported(text)
        async with self.catalog.writing() as session:
            await publishing.publish(session, self.id, rows)

    async def embed(self) -> None:
        await embed_missing(self.catalog, self.id, self.encoder)
        for one in self.reference.values():
            one.embedded.add(one.current)

    async def embed_one(self) -> None:
        """A process that embeds is killed after its first batch, of one."""
        fingerprint = self.encoder.recipe.fingerprint()
        async with self.catalog.reading() as session:
            todo = await embeddings.missing(session, self.id, fingerprint, 1)
        for row_id, description in todo:
            embedded = embed([description], self.encoder)[0]
            async with self.catalog.writing() as session:
                await embeddings.store(session, self.id, fingerprint, [(row_id, embedded)])
            async with self.catalog.reading() as session:
                page = await images.page(session, self.id, limit=1_000)
            name = next(view.external_id for view in page if view.description_id == row_id)
            self.reference[name or ""].embedded.add(description.detail)

    async def edit(self) -> None:
        if (name := self._known()) is not None:
            self.edits += 1
            text = f"{self._text()} {self.edits}"
            async with self.catalog.writing() as session:
                await images.edit(session, self.id, external_image_id(name), SceneDescription(detail=text))
            self.reference[name].edit(text)

    async def undo(self) -> None:
        if (name := self._known()) is not None:
            with contextlib.suppress(NotFound):  # the first description has none before it
                async with self.catalog.writing() as session:
                    now = await images.get(session, self.id, external_image_id(name))
                    await history.undo(session, self.id, now.image_id, now.description_id)
            self.reference[name].undo()

    async def delete(self) -> None:
        if (name := self._known()) is not None:
            async with self.catalog.writing() as session:
                assert await images.delete(session, self.id, [external_image_id(name)]) == 1
            del self.reference[name]

    async def build(self) -> None:
        async with self.catalog.reading() as session:
            row = await collections.by_id(session, self.id)
        kind = self.kinds[int(self.random.integers(len(self.kinds)))]
        await build(self.catalog, row, self.encoder.recipe, self.home, kind)

    async def killed_build(self) -> None:
        task = asyncio.create_task(self.build())
        await asyncio.sleep(float(self.random.uniform(0, 0.04)))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def rollback(self) -> None:
        with contextlib.suppress(WordsightError):
            async with self.catalog.writing() as session:
                await releases.rollback(session, self.id)

    async def damage(self) -> None:
        """A byte of a file of the active release changes on the disk; what is open already stays as it was."""
        for file in await self._files():
            data = bytearray(file.read_bytes())
            data[int(self.random.integers(len(data)))] ^= 1
            beside = file.with_name("damaged")
            beside.write_bytes(bytes(data))
            beside.replace(file)

    async def lose(self) -> None:
        for file in await self._files():
            shutil.rmtree(file.parent)

    async def restart(self) -> None:
        self.searchers[int(self.random.integers(2))] = self._searcher()

    async def search(self) -> None:
        await self._compare(self.searchers[int(self.random.integers(2))])

    async def _compare(self, searcher: Searcher) -> None:
        async with self.catalog.reading() as session:
            row = await collections.by_id(session, self.id)
            rows = {view.external_id: view.row for view in await images.page(session, self.id, limit=1_000)}
        query = self.encoder.encode_queries([self._text()]).vectors[0]
        k = int(self.random.integers(1, 50))
        snapshot = await searcher.snapshot(row)
        found = snapshot.search(query, k)
        assert rows.keys() == self.reference.keys()
        served = {rows[name]: one.served for name, one in self.reference.items() if one.served is not None}
        numbers = np.array(list(served), np.int64)
        worded = [whole_text(SceneDescription(detail=text)) for text in served.values()]
        scores = exact_scores(self.encoder.encode_documents(worded).vectors, query)
        order = np.lexsort((numbers, -scores))
        waiting = sorted(rows[name] for name, one in self.reference.items() if one.served is None)
        assert snapshot.pending.tolist() == waiting, self.done
        if isinstance(snapshot.index, FaissIndex):
            self._hold_nearly(found, numbers[order], scores[order], k)
        else:
            assert found.rows.tolist() == numbers[order][:k].tolist(), self.done
            assert np.array_equal(found.scores, scores[order][:k]), self.done

    def _hold_nearly(self, found: Found, numbers: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> None:
        """Every image told is alive, at its right score and place; how many of the best were told is counted."""
        right = dict(zip(numbers.tolist(), scores.tolist(), strict=True))
        assert found.scores.tolist() == [right[row] for row in found.rows.tolist()], self.done
        assert np.array_equal(np.lexsort((found.rows, -found.scores)), np.arange(len(found.rows))), self.done
        assert len(set(found.rows.tolist())) == len(found.rows) == min(k, len(numbers)), self.done
        self.wanted += len(found.rows)
        self.found += int(np.sum(found.scores >= scores[len(found.rows) - 1])) if len(found.rows) else 0

    async def _files(self) -> list[Path]:
        """One file of the active release, or none."""
        async with self.catalog.reading() as session:
            release = await releases.active(session, self.id)
        folder = releases_folder(self.home) / release.folder if release else None
        files = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
        files = [file for file in files if file.stat().st_size]
        return [files[int(self.random.integers(len(files)))]] if files else []

    def _searcher(self) -> Searcher:
        return Searcher(self.catalog, self.encoder.recipe, self.home)

    def _name(self) -> str:
        return self.names[int(self.random.integers(len(self.names)))]

    def _known(self) -> str | None:
        known = sorted(self.reference)
        return known[int(self.random.integers(len(known)))] if known else None

    def _text(self) -> str:
        return "".join(self.random.choice(list(LETTERS), int(self.random.integers(2, 7))))


async def leave_nothing_behind(catalog: Catalog, home: Path, collection_id: int) -> list[str]:
    """What killed builds left is removed by a prune; the names of the folders that stay."""
    await prune(catalog, collection_id, home)
    return [path.name for path in (releases_folder(home) / str(collection_id)).iterdir()]

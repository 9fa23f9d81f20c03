"""Random interleavings of everything that happens to an index, against a plain reference in memory.

The reference knows each image's descriptions, which of them have vectors and which is current, and nothing of
generations, releases or deltas. Every search must give exactly what brute force over the reference gives.
"""

import asyncio
import contextlib
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from indexer.embedding import embed, embed_missing
from indexer.release import build, prune, releases_folder
from indexer.scoring import exact_scores
from indexer.searcher import Searcher
from scenes.catalog import collections, embeddings, images, publishing, recipes, releases
from scenes.catalog.engine import Catalog
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import WordsightError
from scenes.identity import external_image_id
from scenes.wording import whole_text
from tests.indexer.letters import BagOfLetters

NAMES = [f"image-{i}" for i in range(40)]
LETTERS = "abcdefgh"
WEIGHTS = {
    "publish": 20,
    "embed": 10,
    "embed_one": 6,
    "edit": 8,
    "delete": 7,
    "build": 4,
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
    edited: bool = False

    def imported(self, text: str) -> None:
        self.texts += [] if text in self.texts else [text]
        self.current = self.current if self.edited else text

    def edit(self, text: str) -> None:
        self.texts.append(text)
        self.current, self.edited = text, True

    @property
    def served(self) -> str | None:
        if self.current in self.embedded:
            return self.current
        return next((text for text in reversed(self.texts) if text in self.embedded), None)


class Interleaving:
    """One collection, one reference, two searchers with different pasts."""

    def __init__(self, catalog: Catalog, home: Path, seed: int) -> None:
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
        for name in {self._name() for _ in range(int(self.random.integers(1, 6)))}:
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

    async def delete(self) -> None:
        if (name := self._known()) is not None:
            async with self.catalog.writing() as session:
                assert await images.delete(session, self.id, [external_image_id(name)]) == 1
            del self.reference[name]

    async def build(self) -> None:
        async with self.catalog.reading() as session:
            row = await collections.by_id(session, self.id)
        await build(self.catalog, row, self.encoder.recipe, self.home)

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
        found = (await searcher.snapshot(row)).search(query, k)
        assert rows.keys() == self.reference.keys()
        served = {rows[name]: one.served for name, one in self.reference.items() if one.served is not None}
        numbers = np.array(list(served), np.int64)
        worded = [whole_text(SceneDescription(detail=text)) for text in served.values()]
        scores = exact_scores(self.encoder.encode_documents(worded).vectors, query)
        order = np.lexsort((numbers, -scores))[:k]
        assert found.rows.tolist() == numbers[order].tolist(), self.done
        assert np.array_equal(found.scores, scores[order]), self.done

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
        return NAMES[int(self.random.integers(len(NAMES)))]

    def _known(self) -> str | None:
        known = sorted(self.reference)
        return known[int(self.random.integers(len(known)))] if known else None

    def _text(self) -> str:
        return "".join(self.random.choice(list(LETTERS), int(self.random.integers(2, 7))))


async def leave_nothing_behind(catalog: Catalog, home: Path, collection_id: int) -> list[str]:
    """What killed builds left is removed by a prune; the names of the folders that stay."""
    await prune(catalog, collection_id, home)
    return [path.name for path in (releases_folder(home) / str(collection_id)).iterdir()]

"""A scripted engine that obeys the describer contract: seeded, and what it says depends on the picture alone."""

import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from captioner.engines.engine import Answer, Describer, EngineFault, Reply, Request
from captioner.prompting.attempts import Conversation
from scenes.outcome import Described, Failed
from scenes.recipe import CaptionRecipe

Script = Callable[[Request], Reply | EngineFault]


def describing(request: Request) -> Reply:
    """A fit reply that only the pixels decide."""
    digest = hashlib.sha256(request.picture.pixels.tobytes()).hexdigest()[:12]
    text = json.dumps({"summary": f"A field of {digest}.", "detail": f"Plain colour {digest}."})
    return Reply(text, "stop", 10, 5, 0.0)


class ScriptedDescriber:
    """Replies by a script and counts what it was asked."""

    def __init__(self, script: Script = describing) -> None:
        self.script = script
        self.asked: list[str] = []

    @property
    def recipe(self) -> CaptionRecipe:
        return CaptionRecipe(engine="openai", model="scripted", prompt="scripted-1")

    @property
    def slots(self) -> int:
        return 4

    @property
    def can_verify(self) -> bool:
        return True

    def submit(self, request: Request) -> "Future[Answer]":
        self.asked.append(request.picture.image_id)
        future: Future[Answer] = Future()
        future.set_result(self.script(request))
        return future

    def close(self) -> None:
        """Nothing is held."""


def drive(describer: Describer, conversation: Conversation) -> Described | Failed:
    """Hold one conversation with an engine, waiting for each answer."""
    try:
        requests = next(conversation)
        while True:
            answers = [future.result() for future in [describer.submit(request) for request in requests]]
            requests = conversation.send(answers)
    except StopIteration as end:
        outcome: Described | Failed = end.value
        return outcome


def png(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    """A PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def scripted() -> Callable[..., ScriptedDescriber]:
    """Makes scripted engines."""
    return ScriptedDescriber


@pytest.fixture
def thirty(tmp_path: Path) -> Path:
    """A folder of 30 entries: 25 images, and 5 broken in different ways (4 to refuse, 1 that can't be read)."""
    folder = tmp_path / "thirty"
    folder.mkdir()
    for n in range(25):
        (folder / f"{n:02}.png").write_bytes(png((n * 9, 255 - n * 9, n)))
    (folder / "25.png").write_bytes(b"")
    (folder / "26.png").write_text("not an image at all")
    (folder / "27.png").write_bytes(png((1, 2, 3), (300, 300))[:-40])
    (folder / "28.png").write_bytes(_bomb())
    (folder / "29.png").symlink_to(folder / "nowhere.png")
    return folder


@cache
def _bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "PNG")
    return buffer.getvalue()

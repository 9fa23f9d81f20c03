"""The basic engine behind the describer protocol."""

import time
from concurrent.futures import Future

from captioner.engines.basic.colours import dominant, light, small
from captioner.engines.basic.composing import Seen, compose
from captioner.engines.basic.faces import FaceFinder
from captioner.engines.basic.reading import Reader
from captioner.engines.basic.tags import Tagger
from captioner.engines.engine import Answer, Picture, Reply, Request
from captioner.engines.threaded import Threads
from scenes.recipe import CaptionRecipe
from scenes.weights.registry import find_model, packaged_models, verify_model

_MODELS = ("efficientnet-lite0", "imagenet-names", "centerface")


class BasicDescriber:
    """Tags, faces, text, colours and light of a picture; deterministic, no downloads, no GPU."""

    def __init__(self) -> None:
        """Raises `EnvironmentMissing` (`model_missing`) and `Corrupt` (`model_digest_wrong`)."""
        for name in _MODELS:
            verify_model(name, find_model(name))
        self._tagger = Tagger(find_model("efficientnet-lite0"), find_model("imagenet-names"))
        self._faces = FaceFinder(find_model("centerface"))
        self._reader = Reader()
        self._threads = Threads(self._one, 1)

    @property
    def recipe(self) -> CaptionRecipe:
        digests = {name: sorted(packaged_models()[name].sha256.values()) for name in _MODELS}
        return CaptionRecipe(engine="basic", model="basic-1", prompt="none", options={"weights": digests})

    @property
    def slots(self) -> int:
        return self._threads.slots

    @property
    def can_verify(self) -> bool:
        return False

    def submit(self, request: Request) -> "Future[Answer]":
        return self._threads.submit(request)

    def close(self) -> None:
        """Nothing is held beyond memory."""
        self._threads.close()

    def _one(self, request: Request) -> Answer:
        started = time.perf_counter()
        text = compose(self._look(request.picture)).model_dump_json()
        return Reply(text, "stop", 0, 0, time.perf_counter() - started)

    def _look(self, picture: Picture) -> Seen:
        image = picture.pixels
        pixels = small(image)
        return Seen(
            width=image.width,
            height=image.height,
            tags=tuple(self._tagger.tags(image)),
            faces=tuple(self._faces.faces(image)),
            text=tuple(self._reader.lines(image)),
            colours=tuple(dominant(pixels)),
            light=light(pixels),
        )

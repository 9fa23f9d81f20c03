"""The basic engine behind the describer protocol."""

import time
from collections.abc import Sequence

from captioner.basic.colours import dominant, light, small
from captioner.basic.composing import Seen, compose
from captioner.basic.faces import FaceFinder
from captioner.basic.reading import Reader
from captioner.basic.tags import Tagger
from captioner.describer import EngineFault, Picture, Reply, Request
from scenes.models import find_model, packaged_models, verify_model
from scenes.outcome import FailureReason
from scenes.recipe import CaptionRecipe

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

    @property
    def recipe(self) -> CaptionRecipe:
        digests = {name: sorted(packaged_models()[name].sha256.values()) for name in _MODELS}
        return CaptionRecipe(engine="basic", model="basic-1", prompt="none", options={"weights": digests})

    def describe(self, requests: Sequence[Request]) -> list[Reply | EngineFault]:
        return [self._one(request.picture) for request in requests]

    def close(self) -> None:
        """Nothing is held beyond memory."""

    def _one(self, picture: Picture) -> Reply | EngineFault:
        started = time.perf_counter()
        try:
            text = compose(self._look(picture)).model_dump_json()
        except Exception as error:  # noqa: BLE001 - one picture's trouble in a model must not cost another's reply
            return EngineFault(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:300])
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

"""ImageNet tags by EfficientNet-Lite0: the one door to its weights."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captioner.engines.basic.kinds import kinds

WEIGHTS = "efficientnet-lite0-57934424.pth"
_NAMES = "zero_shot_metadata.py"
_SIDE = 224
_LEAST = 0.15
_SURE = 0.5
_MOST = 3


@dataclass(frozen=True, slots=True)
class Tag:
    """What is probably there: a class name, the broader kinds it belongs to, its probability in 0…1."""

    name: str
    kinds: tuple[str, ...]
    probability: float

    @property
    def is_sure(self) -> bool:
        return self.probability >= _SURE


class Tagger:
    """Classifies the whole picture and its centre; both views are averaged."""

    def __init__(self, weights_folder: Path, names_folder: Path) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        self._torch = torch
        path = str(weights_folder / WEIGHTS)
        self._model: Any = EfficientNet.from_name("efficientnet-lite0")
        self._model.load_state_dict(torch.load(path, weights_only=True))
        self._model.eval()
        self._names = _class_names(names_folder / _NAMES)

    def tags(self, image: Image.Image) -> list[Tag]:
        """The likely classes, best first, at most three, probabilities of one kind added up."""
        views = np.stack([_input(view) for view in (image, _centre(image))])
        with self._torch.inference_mode():
            logits = self._model(self._torch.from_numpy(views))
            shares = self._torch.softmax(logits, dim=1).mean(dim=0).numpy()
        return _likely(shares, self._names)


def _likely(shares: NDArray[np.float32], names: tuple[str, ...]) -> list[Tag]:
    best = np.argsort(-shares)[: 2 * _MOST].tolist()
    tags = []
    for index in best:
        wider = kinds(index)
        together = sum(float(shares[other]) for other in best if set(kinds(other)) & set(wider)) if wider else 0.0
        if shares[index] >= _LEAST:
            tags.append(Tag(names[index], wider, max(together, float(shares[index]))))
    return tags[:_MOST] or _kind_alone(best, shares)


def _kind_alone(best: list[int], shares: NDArray[np.float32]) -> list[Tag]:
    """Where no class stands out but several of one kind do: the kind."""
    by_kind: dict[str, float] = {}
    for index in best:
        for kind in kinds(index)[:1]:
            by_kind[kind] = by_kind.get(kind, 0.0) + float(shares[index])
    return [Tag(kind, (), share) for kind, share in by_kind.items() if share >= 2 * _LEAST]


def _input(image: Image.Image) -> NDArray[np.float32]:
    resized = image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    scaled: NDArray[np.float32] = (np.asarray(resized, dtype=np.float32) - 127.0) / 128.0
    return scaled.transpose(2, 0, 1)


def _centre(image: Image.Image) -> Image.Image:
    side = round(min(image.size) * 0.875)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _class_names(path: Path) -> tuple[str, ...]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "IMAGENET_CLASSNAMES":
            return tuple(ast.literal_eval(node.value))
    raise ValueError(f"{path} names no ImageNet classes")

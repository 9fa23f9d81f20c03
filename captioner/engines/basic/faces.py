"""Faces counted and placed by CenterFace; the one door to OpenCV. Who they are is never asked."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

MODEL = "centerface.onnx"
_LEAST = 0.5
_OVERLAP = 0.3
_LONGEST = 640
_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Face:
    """A face box in relative coordinates (0…1) and its score."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float


class FaceFinder:
    """CenterFace (Xu et al. 2019, arXiv 1911.03599): heat map, box size and offset at a quarter of the resolution."""

    def __init__(self, folder: Path) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(folder / MODEL))

    def faces(self, image: Image.Image) -> list[Face]:
        """The faces of a picture, the surest first."""
        width, height = _network_size(image.size)
        pixels = np.asarray(image, dtype=np.uint8)
        blob = cv2.dnn.blobFromImage(pixels, 1.0, (width, height), (0, 0, 0), swapRB=False, crop=False)
        self._net.setInput(blob)
        heat, scale, offset, _ = self._net.forward(["537", "538", "539", "540"])
        return _kept(_decoded(heat[0, 0], scale[0], offset[0], width, height))


def _network_size(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, _LONGEST / max(size))
    width, height = (max(_STRIDE, round(side * factor / _STRIDE) * _STRIDE) for side in size)
    return width, height


def _decoded(
    heat: NDArray[np.float32], scale: NDArray[np.float32], offset: NDArray[np.float32], width: int, height: int
) -> list[Face]:
    faces = []
    for row, column in np.argwhere(heat > _LEAST).tolist():
        box_height, box_width = np.exp(scale[:, row, column]) * 4
        centre_y = (row + offset[0, row, column] + 0.5) * 4
        centre_x = (column + offset[1, row, column] + 0.5) * 4
        x0, x1 = (centre_x - box_width / 2) / width, (centre_x + box_width / 2) / width
        y0, y1 = (centre_y - box_height / 2) / height, (centre_y + box_height / 2) / height
        x0, y0, x1, y1 = (float(np.clip(value, 0, 1)) for value in (x0, y0, x1, y1))
        if x0 < x1 and y0 < y1:
            faces.append(Face(x0, y0, x1, y1, float(heat[row, column])))
    return sorted(faces, key=lambda face: -face.score)


def _kept(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in faces:
        if all(_overlap(face, other) < _OVERLAP for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    width = max(0.0, min(one.x1, other.x1) - max(one.x0, other.x0))
    height = max(0.0, min(one.y1, other.y1) - max(one.y0, other.y0))
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(face: Face) -> float:
    return (face.x1 - face.x0) * (face.y1 - face.y0)

"""Text in the image, by RapidOCR: the one door to it."""

import logging
from typing import Any

import numpy as np
from PIL import Image

_LEAST_SCORE = 0.7
_LEAST_LETTERS = 3
_MOST = 40


class Reader:
    """Reads lines of text; what has fewer than three letters or digits is dropped as noise."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1}
        self._engine = RapidOCR(params={"Global.log_level": "error", **threads})

    def lines(self, image: Image.Image) -> list[str]:
        """The lines of text, top to bottom as found."""
        found: Any = self._engine(np.asarray(image, dtype=np.uint8)[:, :, ::-1])
        pairs = zip(found.txts or (), found.scores or (), strict=True)
        kept = [text.strip()[:300] for text, score in pairs if score >= _LEAST_SCORE and _is_text(text)]
        return kept[:_MOST]


def _is_text(text: str) -> bool:
    return sum(letter.isalnum() for letter in text) >= _LEAST_LETTERS

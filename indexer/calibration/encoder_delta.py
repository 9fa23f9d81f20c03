"""A calibrated encoder as a small difference to a public one: one signed byte a changed weight, a scale a row.

The encoder that the difference gives (not the one it was made from) is what is measured and shipped. Its bytes are
the base's with changed tensors written over in place, so the same base and difference give the same file everywhere.
"""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.token_head import HEAD
from scenes.artifact import write_file
from scenes.errors import Corrupt

WEIGHTS = "model.safetensors"
_LEVELS = 127
_SCALE = ":scale"
_STEPS = ":steps"


def write_delta(base: Path, calibrated: Path, target: Path) -> None:
    """Write the difference between two folders of one architecture, the word head included, as one `.npz`."""
    before, after = dict(_tensors(base / WEIGHTS)), dict(_tensors(calibrated / WEIGHTS))
    parts: dict[str, NDArray[Any]] = {HEAD: np.load(calibrated / HEAD, allow_pickle=False)}
    for name, old in before.items():
        if old.dtype == np.float32 and not np.array_equal(old, after[name]):
            parts[name + _STEPS], parts[name + _SCALE] = _quantised(after[name] - old)
    written = io.BytesIO()
    np.savez_compressed(written, allow_pickle=False, **parts)
    write_file(target, written.getvalue())


def apply_delta(base: Path, delta: Path, folder: Path) -> None:
    """Make the calibrated encoder's folder from its base. Raises `Corrupt` (`delta_unreadable`)."""
    shutil.copytree(base, folder)
    try:
        with np.load(delta, allow_pickle=False) as parts:
            np.save(folder / HEAD, parts[HEAD])
            changes = {name.removesuffix(_STEPS): parts[name] for name in parts.files if name.endswith(_STEPS)}
            scales = {name: parts[name + _SCALE] for name in changes}
    except (OSError, ValueError, KeyError) as error:
        raise Corrupt("delta_unreadable", f"{delta} can't be read: {error}") from error
    weights = np.memmap(folder / WEIGHTS, np.uint8, "r+")
    for name, tensor in _views(weights):
        if name in changes:
            np.add(tensor, changes[name].astype(np.float32) * scales[name], out=tensor)
    weights.flush()


def _quantised(difference: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    largest = np.max(np.abs(difference), axis=-1, keepdims=True)
    scale = np.maximum(largest / _LEVELS, np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(difference / scale).astype(np.int8), scale


def _tensors(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    return _views(np.memmap(path, np.uint8, "r"))


def _views(weights: "np.memmap[Any, np.dtype[np.uint8]]") -> Iterator[tuple[str, NDArray[Any]]]:
    """Each float32 tensor of a safetensors file, as a view of the file's bytes."""
    size = int.from_bytes(weights[:8].tobytes(), "little")
    header = json.loads(weights[8 : 8 + size].tobytes())
    for name, facts in header.items():
        if name != "__metadata__" and facts["dtype"] == "F32":
            start, end = (8 + size + offset for offset in facts["data_offsets"])
            yield name, weights[start:end].view(np.float32).reshape(facts["shape"])

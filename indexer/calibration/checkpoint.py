"""Checkpoints of a training: one file, written beside and renamed; one of another plan is refused."""

import io
from pathlib import Path
from typing import Any

from scenes.artifact import write_file
from scenes.errors import BadInput

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    import torch

    written = io.BytesIO()
    torch.save(state, written)
    write_file(folder / NAME, written.getvalue(), shared=True)


def load_checkpoint(folder: Path, plan: dict[str, Any]) -> dict[str, Any] | None:
    """The state of a stopped training, None where there is none.

    Raises `BadInput` (`checkpoint_differs`) for one that was made with other settings.
    """
    import torch

    if not (folder / NAME).is_file():
        return None
    state: dict[str, Any] = torch.load(folder / NAME, weights_only=True)
    if state["plan"] != plan:
        raise BadInput(
            "checkpoint_differs",
            f"{folder / NAME} was made with other settings or data",
            fix=f"repeat them, or remove {folder / NAME} to begin anew",
        )
    return state

"""The state of a training that has not ended, so that a killed run goes on where it was."""

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FILE = "checkpoint.npz"


@dataclass
class TrainingState:
    """Where a training stands after an epoch.

    Attributes:
        epoch: the next epoch.
        state: the whole state of the model and the optimizer (see `BaseSteps.snapshot`).
        method: what the learning method itself remembers.
        best: the state at the best epoch. best_score: its mean domain AUC. stale: epochs since.
        history: what was measured, per epoch.
    """

    epoch: int
    state: list[np.ndarray]
    method: list[np.ndarray]
    best: list[np.ndarray]
    best_score: float
    stale: int
    history: list[dict] = field(default_factory=list)


def save(state: TrainingState, folder: Path) -> None:
    """Write the state so that a reader sees the old one or the new one, never a part."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{name}_{i}": array
        for name in ("state", "method", "best")
        for i, array in enumerate(getattr(state, name))
    }
    plain = {name: getattr(state, name) for name in ("epoch", "best_score", "stale", "history")}
    buffer = io.BytesIO()
    np.savez(buffer, plain=np.array(json.dumps(plain)), **arrays)
    beside = folder / f".{FILE}"
    with open(beside, "wb") as file:
        file.write(buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, folder / FILE)


def load(folder: Path) -> TrainingState | None:
    """Return the saved state, None where there is none."""
    if not (folder / FILE).is_file():
        return None
    with np.load(folder / FILE) as saved:
        plain = json.loads(str(saved["plain"]))
        arrays = {}
        for name in ("state", "method", "best"):
            count = sum(key.startswith(f"{name}_") for key in saved.files)
            arrays[name] = [saved[f"{name}_{i}"] for i in range(count)]
    return TrainingState(**plain, **arrays)

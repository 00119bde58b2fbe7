"""The state of a training that has not ended, so that a killed run goes on where it was."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FILE = "checkpoint.npz"


@dataclass
class TrainingState:
    """Where a training stands after an epoch, or after an outer step within one.

    Attributes:
        state: the whole state of the model and the optimizer (see `BaseSteps.snapshot`).
        method: what the learning method itself remembers.
        best: the state at the best epoch. best_score: its mean domain AUC. stale: epochs since.
        epoch: the epoch that goes on. phase_epochs: epochs of the current phase that are done.
        told_of_end: whether the plug-ins have heard that the training would end.
        partial: rows trained on in this epoch, the sum of their losses, and seconds; None at its start.
        history: what was measured, per epoch.
    """

    state: list[np.ndarray]
    method: list[np.ndarray]
    best: list[np.ndarray]
    best_score: float = -np.inf
    stale: int = 0
    epoch: int = 0
    phase_epochs: int = 0
    told_of_end: bool = False
    partial: tuple[int, float, float] | None = None
    history: list[dict] = field(default_factory=list)

    def share(self, epochs: int, part: float = 0.0) -> float:
        """Return how much of so many epochs, and a part of one, is done; 1 from the end of the first on."""
        return 1.0 if self.told_of_end else (self.phase_epochs + part) / epochs


PLAIN = ("best_score", "stale", "epoch", "phase_epochs", "told_of_end", "partial", "history")


def save(state: TrainingState, folder: Path) -> None:
    """Write the state so that a reader sees the old one or the new one, never a part."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("state", "method") if state.best is state.state else ("state", "method", "best")
    arrays = {f"{name}_{i}": array for name in names for i, array in enumerate(getattr(state, name))}
    plain = {name: getattr(state, name) for name in PLAIN}
    beside = folder / f".{FILE}"
    with open(beside, "wb") as file:
        np.savez(file, plain=np.array(json.dumps(plain)), **arrays)
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
    arrays["best"] = arrays["best"] or arrays["state"]
    return TrainingState(**plain, **arrays)

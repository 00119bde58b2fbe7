"""What every learning method is: a way through the domains' batches, epoch by epoch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from models.columns import Columns
from schema.base import Settings

CHUNK_STEPS = 16  # batches handed to one compiled call: the call's overhead is shared, memory stays small


class LearningMethod:
    """How parameters move over the domains' batches, for any architecture.

    Args:
        settings: the method's own settings.
        steps: the compiled primitives of the model (models/backend).
        columns: the training rows, sorted by domain.
        batch_size: rows per step.
        seed: of everything random; with the epoch's number it decides the order of the rows, so that a
            resumed training goes the same way as an uninterrupted one.
    """

    class Settings(Settings):
        """A method's own settings; the defaults are the paper's."""

    def __init__(self, settings: Any, steps, columns: Columns, batch_size: int, seed: int):
        self.settings = settings
        self.steps = steps
        self.columns = columns
        self.batch_size = batch_size
        self.seed = seed

    def epoch(self, epoch: int) -> Iterator[tuple[int, float]]:
        """Train one epoch.

        Args:
            epoch: its number, from 0.

        Yields:
            After every compiled call: rows trained on, and their mean loss.
        """
        raise NotImplementedError

    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps of one epoch, for the progress shown."""
        raise NotImplementedError

    def state(self) -> list[np.ndarray]:
        """Return what the method itself remembers between epochs, apart from the model's state."""
        return []

    def load_state(self, state: list[np.ndarray]) -> None:
        """Take back what `state` returned."""

    def generator(self, epoch: int) -> np.random.Generator:
        """Return the random generator of one epoch."""
        return np.random.default_rng([self.seed, epoch])

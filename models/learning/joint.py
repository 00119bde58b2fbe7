"""Joint training: batches of all domains' rows, mixed."""

import numpy as np

from models.learning.base import CHUNK_STEPS, LearningMethod
from models.registry import register


@register(kind="joint", paper="the usual baseline; 'Joint' or 'mixed batches' in MAMDR section 5")
class Joint(LearningMethod):
    """Every epoch goes once through all training rows in a new random order.

    Optimizer state: kept from the first to the last step.
    """

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        order = self.columns.mixed(self.generator(epoch))
        for rows, steps in chunks(order, self.batch_size):
            losses = self.steps.train(self.columns.take(rows, steps))
            yield len(rows), float(np.mean(losses))

    def steps_per_epoch(self):
        """Return the number of batches of all rows, the last one shorter."""
        return -(-self.columns.rows // self.batch_size)


def chunks(order: np.ndarray, batch_size: int):
    """Cut row numbers into chunks of whole batches, and the rest into one shorter batch.

    Args:
        order: row numbers `(rows,)`.
        batch_size: rows per batch.

    Yields:
        Row numbers of a chunk, and how many batches they are.
    """
    whole = len(order) // batch_size
    for first in range(0, whole, CHUNK_STEPS):
        steps = min(CHUNK_STEPS, whole - first)
        yield order[first * batch_size : (first + steps) * batch_size], steps
    if len(order) % batch_size:
        yield order[whole * batch_size :], 1

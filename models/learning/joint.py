"""Joint training: batches of all domains' rows, mixed."""

from models.batches import chunks
from models.learning.base import LearningMethod, Trained
from models.registry import register


@register(kind="joint", paper="the usual baseline; 'Joint' or 'mixed batches' in MAMDR section 5")
class Joint(LearningMethod):
    """Every epoch goes once through all training rows in a new random order.

    Optimizer state: kept from the first to the last step.
    """

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        for rows, steps in chunks(self.mixed(epoch), self.batch_size):
            losses = self.steps.train(self.columns.take(rows, steps))
            yield Trained(len(rows), self.mixed_mean(losses, rows.reshape(steps, -1)))

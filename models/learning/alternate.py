"""Alternate training: one domain after another."""

from models.learning.base import InnerLoop, LearningMethod, Trained
from models.registry import register


@register(kind="joint", paper="'Alternate Training', MAMDR section 4.1: Domain Negotiation with beta = 1")
class Alternate(LearningMethod):
    """Every epoch goes through the domains one after another, in a new random order.

    Optimizer state: kept across domains.
    """

    class Settings(InnerLoop):
        """With `inner_passes` of 0.1, an epoch goes ten times through the domains, a tenth of each a time."""

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        for part in range(self.outer, self.rounds()):
            order = self.generator(epoch, part).permutation(self.domains())
            yield from self.train_on(self.inner_batches(int(domain), epoch, part) for domain in order)
            self.outer = part + 1
            yield Trained(0, 0.0, outer=True)
        self.outer = 0

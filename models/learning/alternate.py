"""Alternate training: one domain after another."""

from models.inner_loop import InnerLoop, InnerLoopMethod
from models.registry import register


@register(kind="joint", paper="'Alternate Training', MAMDR section 4.1: Domain Negotiation with beta = 1")
class Alternate(InnerLoopMethod):
    """Every epoch goes through the domains one after another, in a new random order.

    Optimizer state: kept across domains.
    """

    class Settings(InnerLoop):
        """With `inner_passes` of 0.1, an epoch goes ten times through the domains, a tenth of each a time."""

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        for part in range(self.outer, self.rounds()):
            yield from self.train_on(self.each_domain(epoch, part))
            yield self.completed(part + 1)
        self.outer = 0

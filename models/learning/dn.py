"""Domain Negotiation (MAMDR, Algorithm 1)."""

from pydantic import Field

from models.inner_loop import InnerLoop, InnerLoopMethod
from models.registry import register


@register(kind="meta", paper="MAMDR (Luo et al., 2022), section 4.1, Algorithm 1, Eq. 3-4")
class DomainNegotiation(InnerLoopMethod):
    """Goes through the domains one after another and then moves a part of the way that led to.

    Inner loop (Eq. 3): from Theta, Adam at the learning rate of the config (alpha) on each domain's rows, the
    domains in a new random order. Outer step (Eq. 4): Theta <- Theta + beta (Theta_{n+1} - Theta).

    Optimizer state: Adam's slots are kept across domains and outer steps, as the public code does; the outer
    step is a plain one, without slots. Running means and other state that is not trained stay as the last
    inner step left them.
    """

    class Settings(InnerLoop):
        """See `InnerLoop`.

        Attributes:
            beta: the outer learning rate.
        """

        beta: float = Field(0.1, gt=0, le=1)

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        yield from self.negotiations(epoch)
        self.outer = 0

    def negotiations(self, epoch: int):
        """Take the outer steps of an epoch that are left."""
        for part in range(self.outer, self.rounds()):
            yield from self.negotiate(epoch, part)
            yield self.completed(part + 1)

    def negotiate(self, epoch: int, part: int, moved=None):
        """Take one outer step with some variables, None for all."""
        origin = self.steps.weights()  # Theta
        yield from self.train_on(self.each_domain(epoch, part), moved)
        self.steps.move(origin, self.settings.beta)

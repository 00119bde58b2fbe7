"""Reptile: a step towards where each domain's own training leads."""

from pydantic import Field

from models.inner_loop import InnerLoop, InnerLoopMethod
from models.registry import register


@register(kind="meta", paper="Reptile (Nichol et al., 2018), Algorithm 1; MAMDR section 4.3 and A.3")
class Reptile(InnerLoopMethod):
    """For each domain in turn: train on it alone, then move a part of the way from where that began.

    Inner loop: Adam on the domain's rows. Outer step: w <- w + beta (w_domain - w). It is Domain Negotiation
    with an outer step after each domain instead of after all.

    Optimizer state: Adam's slots are kept across domains; the outer step has none.
    """

    class Settings(InnerLoop):
        """See `InnerLoop`.

        Attributes:
            beta: the outer learning rate (epsilon in the paper).
        """

        beta: float = Field(0.1, gt=0, le=1)

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        done = 0
        for part in range(self.rounds()):
            for domain in self.generator(epoch, part).permutation(self.domains()):
                done += 1
                if done <= self.outer:
                    continue  # before the kill that this training goes on from
                origin = self.steps.weights()
                yield from self.train_on([self.inner_batches(int(domain), epoch, part)])
                self.steps.move(origin, self.settings.beta)
                yield self.completed(done)
        self.outer = 0

"""What learning methods with an outer and an inner loop share: how rows are shared out among inner loops."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from models.batches import DomainBatches, domain_batches
from models.learning.base import LearningMethod
from schema.base import Settings


class InnerLoop(Settings):
    """Settings of methods with an outer and an inner loop.

    Attributes:
        inner_passes: share of each domain's rows that an inner loop goes through; with 1, as in the paper,
            there is one outer step per epoch, with 0.1 there are ten. The nearest whole number of outer
            steps is taken: 0.3 is a third, 0.7 is 1.
        inner_steps: instead, a fixed number of batches of each domain per inner loop.
    """

    inner_passes: float = Field(1.0, gt=0, le=1)
    inner_steps: int | None = Field(None, ge=1)


class InnerLoopMethod(LearningMethod):
    """A learning method whose settings are an `InnerLoop`; see `LearningMethod` for the arguments."""

    def __init__(self, *args, **kwargs):
        self._orders: dict[tuple[int, int], np.ndarray] = {}  # rows by epoch and domain
        super().__init__(*args, **kwargs)

    def rounds(self) -> int:
        """Return the number of outer steps per epoch, from the settings of the inner loop."""
        if self.settings.inner_steps is None:
            return max(1, round(1 / self.settings.inner_passes))
        rows = len(self.domains()) * self.settings.inner_steps * self.batch_size
        return max(1, round(self.columns.rows / max(rows, 1)))

    def inner_batches(self, domain: int, epoch: int, part: int, *numbers: int) -> DomainBatches:
        """Return a domain's batches of one inner loop; none if it is skipped.

        Args:
            domain: its index. epoch: number of the epoch. part: number of the outer step in it; the parts of
                an epoch share the domain's rows out, each row once (with `inner_steps`, in turn).
            numbers: tell apart several inner loops on a domain in one epoch.
        """
        if domain in self.skipped:
            return domain_batches(domain, np.arange(0), self.batch_size)
        rows = self.order_of(domain, epoch, *numbers)
        if self.settings.inner_steps is None:
            rows = np.array_split(rows, self.rounds())[part]  # none, in a domain with fewer rows than parts
        else:
            count = self.settings.inner_steps * self.batch_size
            if len(rows) > count:
                rows = np.take(rows, np.arange(part * count, (part + 1) * count), mode="wrap")
        return domain_batches(domain, rows, self.batch_size)

    def each_domain(self, epoch: int, part: int) -> Iterator[DomainBatches]:
        """Yield the batches of one inner loop on every domain, in a random order."""
        for domain in self.generator(epoch, part).permutation(self.domains()):
            yield self.inner_batches(int(domain), epoch, part)

    def order_of(self, domain: int, epoch: int, *numbers: int) -> np.ndarray:
        """Return a domain's rows in a random order, the same one for all parts of an epoch."""
        kept = self._orders.get((epoch, domain)) if not numbers else None
        if kept is not None:
            return kept
        rows = self.generator(epoch, domain, *numbers).permutation(self.columns.domain_rows(domain))
        if not numbers and self.rounds() > 1:
            if self._orders and next(iter(self._orders))[0] != epoch:
                self._orders.clear()
            self._orders[epoch, domain] = rows
        return rows

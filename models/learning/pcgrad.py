"""PCGrad: gradients of domains that conflict are projected off one another."""

import numpy as np

from models.backend.base import NAN
from models.batches import chunks, domain_batches
from models.learning.base import LearningMethod, Trained
from models.registry import register


@register(kind="gradient", paper="PCGrad (Yu et al., NeurIPS 2020), Algorithm 1; MAMDR Eq. 10")
class PCGrad(LearningMethod):
    """Mixed batches; the gradients of the domains in a batch are projected and then summed for one step.

    The gradient of a domain is that of its rows' part in the batch's mean loss, so that without conflicts a
    step is that of joint training. Cost: one gradient per domain in the batch, and O(n^2) projections: it is
    not meant for thousands of domains.

    Optimizer state: kept from the first to the last step.
    """

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        random = self.generator(epoch)
        for rows, steps in chunks(self.columns.mixed(random), self.batch_size):
            for batch in rows.reshape(steps, -1):
                batch = self.unskipped(batch)
                if len(batch):
                    yield self.step(batch, random)

    def step(self, rows: np.ndarray, random: np.random.Generator) -> Trained:
        """Take one step on a batch of row numbers `(batch,)`, but for those of domains found bad."""
        domain_of = self.columns.domain_of(rows)
        gradients, losses, counts = [], [], []
        for domain in np.unique(domain_of).tolist():
            own = rows[domain_of == domain]
            batch = domain_batches(domain, own, self.batch_size)
            loss, gradient = self.steps.gradients(batch.first(self.columns))
            if np.isfinite(self.finite_mean(np.array([loss]), batch.domains)):
                gradients.append(gradient)
                losses.append(loss)
                counts.append(len(own))
        if not gradients:
            return Trained(0, NAN)
        shares = np.array(counts) / sum(counts)
        stacked = [np.stack(parts) for parts in zip(*gradients, strict=True)]
        # The shares go into the few products and factors instead of all the gradients.
        factors = projected(gram(stacked) * np.outer(shares, shares), random).sum(axis=0) * shares
        self.steps.apply([np.tensordot(factors.astype(g.dtype), g, axes=1) for g in stacked])
        return Trained(sum(counts), float(np.average(losses, weights=counts)))


def gram(gradients: list[np.ndarray]) -> np.ndarray:
    """Return the inner products of the domains' gradients, `(domains, domains)`.

    Args:
        gradients: of each weight, those of all domains, `(domains, *shape)`.
    """
    flat = [parts.reshape(len(parts), -1) for parts in gradients]
    return sum(parts @ parts.T for parts in flat)


def projected(products: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Project every gradient off each other one that it conflicts with, in a random order (Algorithm 1).

    A projected gradient is a combination of the gradients, so that their inner products are all it takes.

    Args:
        products: inner products of the gradients, `(n, n)`. random: of the order.

    Returns:
        The factors of each projected gradient in terms of the gradients, `(n, n)`.
    """
    factors = np.eye(len(products))
    for i, own in enumerate(factors):
        for j in random.permutation(len(products)):
            conflict = own @ products[j]
            if j != i and conflict < 0:
                own[j] -= conflict / products[j, j]
    return factors

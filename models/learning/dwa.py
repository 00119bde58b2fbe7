"""Dynamic Weight Average: a domain whose loss falls slowly weighs more."""

import keras
import numpy as np
from keras import ops
from pydantic import Field

from models.learning.joint import Joint
from models.registry import register
from schema.base import Settings


@register(kind="loss weights", paper="DWA (Liu et al., CVPR 2019), Eq. 7; a comparison of D3, Table 2")
class DynamicWeightAverage(Joint):
    """Joint training with lambda_d = D softmax_d(w_d / T), w_d = L_d(t-1) / L_d(t-2) of the last two epochs.

    In the first two epochs all weigh 1. Optimizer state: kept from the first to the last step; the domains'
    losses and weights are part of what a checkpoint holds.
    """

    class Settings(Settings):
        """The method's own settings.

        Attributes:
            temperature: T; large values make the weights alike.
        """

        temperature: float = Field(2.0, gt=0)

    def prepare(self, model):
        """Return the objective."""
        self.weights = DomainWeights(model.spec.n_domains + 1)
        return self.weights

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        yield from super().epoch(epoch)
        self.weights.end_epoch(self.settings.temperature)


class DomainWeights(keras.layers.Layer):
    """Mean over the rows of lambda_d loss, d a row's domain, and the domains' mean losses by epoch.

    Args:
        n_domains: number of domains, the unknown one included.
    """

    def __init__(self, n_domains: int, **kwargs):
        super().__init__(**kwargs)
        state = {"shape": (n_domains,), "trainable": False}
        self.weights_ = self.add_weight(name="weights", initializer="ones", **state)  # lambda
        self.total = self.add_weight(name="total", initializer="zeros", **state)  # of losses in this epoch
        self.count = self.add_weight(name="count", initializer="zeros", **state)  # of rows in this epoch
        self.last = self.add_weight(name="last", initializer="zeros", **state)  # mean loss; 0 is unknown
        self.built = True

    def call(self, losses, domain):
        """Map losses and domains `(batch,)` to a scalar."""
        number = self.total.shape[0]
        domain = ops.cast(domain, "int32")
        seen = ops.stop_gradient(losses)
        self.total.assign(self.total + ops.segment_sum(seen, domain, num_segments=number))
        self.count.assign(self.count + ops.segment_sum(ops.ones_like(seen), domain, num_segments=number))
        return ops.mean(ops.take(self.weights_, domain) * losses)

    def end_epoch(self, temperature: float) -> None:
        """Set the weights of the next epoch (Eq. 7)."""
        count = self.count.numpy()
        mean = self.total.numpy() / np.maximum(count, 1)
        known = (self.last.numpy() > 0) & (count > 0)
        if known.any():
            ratio = np.exp(mean[known] / self.last.numpy()[known] / temperature)
            weights = np.ones_like(mean)
            weights[known] = known.sum() * ratio / ratio.sum()
            self.weights_.assign(weights)
        self.last.assign(mean)
        self.total.assign(np.zeros_like(mean))
        self.count.assign(np.zeros_like(mean))

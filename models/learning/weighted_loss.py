"""Weighted loss: every domain's loss is weighed by a learned uncertainty."""

import keras
from keras import ops

from models.learning.joint import Joint
from models.registry import register


@register(kind="loss weights", paper="Uncertainty weights (Kendall et al., CVPR 2018), Eq. 10; MAMDR A.3")
class WeightedLoss(Joint):
    """Joint training of sum_d exp(-s_d) L_d + s_d / 2, with s_d = log sigma_d^2 learned for each domain.

    Optimizer state: one Adam for the model's parameters and s, kept from the first to the last step.
    """

    def prepare(self, model):
        """Return the objective."""
        return UncertaintyWeights(model.spec.n_domains + 1)


class UncertaintyWeights(keras.layers.Layer):
    """Mean over the rows of exp(-s_d) loss + s_d / 2, d a row's domain.

    Args:
        n_domains: number of domains, the unknown one included.
    """

    def __init__(self, n_domains: int, **kwargs):
        super().__init__(**kwargs)
        self.log_variance = self.add_weight(name="log_variance", shape=(n_domains,), initializer="zeros")
        self.built = True

    def call(self, losses, domain):
        """Map losses and domains `(batch,)` to a scalar."""
        s = ops.take(self.log_variance, domain)
        return ops.mean(ops.exp(-s) * losses + s / 2)

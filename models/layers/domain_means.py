"""Running means of something measured in each domain."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class DomainMeans(keras.layers.Layer):
    """m_d <- momentum * m_d + (1 - momentum) * (mean over the domain's rows in the batch).

    A domain's mean begins as that of its first batch, so that it is never drawn towards zero; a domain that
    is absent from a batch keeps its mean. No gradient flows through it.

    Args:
        n_domains: number of domains, the unknown one included.
        width: how many values are measured of a row.
        momentum: share that a mean keeps.
    """

    def __init__(self, n_domains: int, width: int, momentum: float = 0.99, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.width = width
        self.momentum = momentum

    def build(self):
        state = {"initializer": "zeros", "trainable": False, "autocast": False, "dtype": "float32"}
        self.means = self.add_weight(name="means", shape=(self.n_domains, self.width), **state)
        self.seen = self.add_weight(name="seen", shape=(self.n_domains, 1), **state)
        self.built = True

    def update(self, values, domain):
        """Let the means follow a batch: `(batch, width)`, of domains `(batch,)`."""
        values = ops.stop_gradient(ops.cast(values, "float32"))
        rows = ops.segment_sum(ops.ones_like(values[:, :1]), domain, num_segments=self.n_domains)
        total = ops.segment_sum(values, domain, num_segments=self.n_domains)
        means, seen = self.means.value, self.seen.value  # JAX compiles `where` with a variable's old value
        kept = self.momentum * seen
        moved = kept * means + (1 - kept) * total / ops.maximum(rows, 1.0)
        self.means.assign(ops.where(rows > 0, moved, means))
        self.seen.assign(ops.where(rows > 0, 1.0, seen))

    def get_config(self):
        config = {"n_domains": self.n_domains, "width": self.width, "momentum": self.momentum}
        return {**super().get_config(), **config}

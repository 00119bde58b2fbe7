"""Running means of something measured in each domain."""

import keras
from keras import ops

from models.backend.rows import by_domain


def follow(means, seen, values, domain, momentum: float):
    """Return running means after a batch, and which of them are there.

    A domain's mean begins as that of its first batch; one that is absent from the batch keeps its own. The
    gradient reaches the values, with a factor of 1 - momentum.

    Args:
        means: `(n_domains, width)`. seen: 1 where there is a mean, else 0, `(n_domains, 1)`. Both tensors:
            JAX compiles `where` with a variable's old value.
        values: `(batch, width)`. domain: indices `(batch,)`. momentum: share that a mean keeps.
    """
    n_domains = means.shape[0]
    rows = ops.segment_sum(ops.ones_like(values[:, :1]), domain, num_segments=n_domains)
    total = ops.segment_sum(values, domain, num_segments=n_domains)
    kept = momentum * seen  # nothing is kept of what was never there
    moved = kept * means + (1 - kept) * total / ops.maximum(rows, 1.0)
    return ops.where(rows > 0, moved, means), ops.where(rows > 0, 1.0, seen)


@keras.saving.register_keras_serializable("mdr")
class DomainMeans(keras.layers.Layer):
    """m_d <- momentum * m_d + (1 - momentum) * (mean over the domain's rows in the batch).

    See `follow`; no gradient flows through it.

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
        by_domain(self.means, self.seen, grouped=False)
        self.built = True

    def update(self, values, domain):
        """Let the means follow a batch: `(batch, width)`, of domains `(batch,)`."""
        values = ops.stop_gradient(ops.cast(values, "float32"))
        means, seen = follow(self.means.value, self.seen.value, values, domain, self.momentum)
        self.means.assign(means)
        self.seen.assign(seen)

    def get_config(self):
        config = {"n_domains": self.n_domains, "width": self.width, "momentum": self.momentum}
        return {**super().get_config(), **config}

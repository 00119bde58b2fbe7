"""Means of something measured in each domain."""

import keras
from keras import ops

from models.backend.rows import by_domain


def domain_sums(values, domain, n_domains: int, counts=None):
    """Return how many rows of a batch each domain has, `(n_domains, 1)`, and the sums of their values.

    Args:
        values: `(batch, width)`, summed to `(n_domains, width)`. domain: indices `(batch,)`.
        counts: 1 for a row that counts, 0 for one that does not, `(batch,)`; None where all do.
    """
    ones = ops.ones_like(values[:, :1])
    counts = ones if counts is None else ops.cast(ops.expand_dims(counts, 1), values.dtype)
    return tuple(ops.segment_sum(x, domain, num_segments=n_domains) for x in (counts, values * counts))


@keras.saving.register_keras_serializable("mdr")
class DomainMeans(keras.layers.Layer):
    """The mean over each domain's rows since the last `restart`; no gradient flows through it.

    Args:
        n_domains: number of domains, the unknown one included.
        width: how many values are measured of a row.

    Attributes:
        means: `(n_domains, width)`, zeros where there were no rows. rows: how many, `(n_domains, 1)`.
    """

    def __init__(self, n_domains: int, width: int, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.width = width

    def build(self):
        state = {"initializer": "zeros", "trainable": False, "autocast": False, "dtype": "float32"}
        self.means = self.add_weight(name="means", shape=(self.n_domains, self.width), **state)
        self.rows = self.add_weight(name="rows", shape=(self.n_domains, 1), **state)
        by_domain(self.means, self.rows, grouped=False)
        self.built = True

    def restart(self) -> None:
        """Forget all rows."""
        for state in (self.means, self.rows):
            state.assign(ops.zeros_like(state))

    def update(self, values, domain):
        """Take in the rows of a batch: `(batch, width)`, of domains `(batch,)`."""
        values = ops.stop_gradient(ops.cast(values, "float32"))
        means, before = self.means.value, self.rows.value
        rows, total = domain_sums(values, domain, self.n_domains)
        self.means.assign(means + (total - rows * means) / ops.maximum(before + rows, 1.0))
        self.rows.assign(before + rows)

    def get_config(self):
        return {**super().get_config(), "n_domains": self.n_domains, "width": self.width}

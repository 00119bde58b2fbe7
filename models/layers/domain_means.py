"""Means of something measured in each domain."""

import keras
from keras import ops

from models.backend.rows import by_domain


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
        rows = ops.segment_sum(ops.ones_like(values[:, :1]), domain, num_segments=self.n_domains)
        total = ops.segment_sum(values, domain, num_segments=self.n_domains)
        self.means.assign(means + (total - rows * means) / ops.maximum(before + rows, 1.0))
        self.rows.assign(before + rows)

    def get_config(self):
        return {**super().get_config(), "n_domains": self.n_domains, "width": self.width}

"""Adapters: small networks beside the layers of a large one."""

import keras

from models.layers.generated import GeneratedDense
from models.layers.partitioned_norm import PartitionedNorm


@keras.saving.register_keras_serializable("mdr")
class HyperAdapter(keras.layers.Layer):
    """x + norm_d(W_up(z) sigmoid(W_down(z) x)): a bottleneck whose weights are generated from a condition z.

    Both weights have the low-rank form A M(z) B, biases are generated, too, and each domain is normalised by
    itself. Source: the adapter cell of HAMUR (Li et al., CIKM 2023, section 3), where M(z) is one for all
    adapters and biases are fixed; here every weight has its own M, linear in z.

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of the bottleneck.
        rank: of the generated weights.
    """

    def __init__(self, n_domains: int, units: int, rank: int, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.units = units
        self.rank = rank
        self._down = GeneratedDense(units, rank=rank, activation="sigmoid", dtype=self.dtype_policy)
        self._norm = PartitionedNorm(n_domains, dtype=self.dtype_policy)

    def build(self, x_shape, condition_shape, domain_shape=None):
        self._up = GeneratedDense(x_shape[-1], rank=self.rank, dtype=self.dtype_policy)
        self._down.build(x_shape, condition_shape)
        self._up.build((*x_shape[:-1], self.units), condition_shape)
        self._norm.build(x_shape)
        self.built = True

    def call(self, x, condition, domain, training=False):
        """Adapt x `(batch, width)` given z `(batch, known)` and domain indices `(batch,)`."""
        change = self._up(self._down(x, condition), condition)
        return x + self._norm(change, domain, training=training)

    def compute_output_shape(self, x_shape, condition_shape, domain_shape=None):
        return x_shape

    def get_config(self):
        config = {"n_domains": self.n_domains, "units": self.units, "rank": self.rank}
        return {**super().get_config(), **config}

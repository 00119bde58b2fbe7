"""A domain's own interests beside those of all domains (ADI)."""

from collections.abc import Sequence

import keras
from keras import ops

from models.layers.domain_experts import DomainExperts


class InterestNetworks(keras.layers.Layer):
    """[b_1 * E_d(x), b_1 * E_d(x) * b_2 * E_s(x), b_2 * E_s(x)], [b_1, b_2] = sigmoid(W s).

    E_d is a network of the domain's own, E_s one of all domains, s the domain's embedding. Source: ADI (Jiang
    et al., CIKM 2022, section 3.3).

    Args:
        n_domains: number of domains, the unknown one included.
        shared: E_s, a layer that maps `(batch, width)` to `(batch, units[-1])`.
        units: layers of each E_d. dropout: share of activations dropped in training.
    """

    def __init__(
        self,
        n_domains: int,
        shared: keras.layers.Layer,
        units: Sequence[int],
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = tuple(units)
        self.dropout = dropout
        self.shared = shared
        self.specific = DomainExperts(n_domains, 1, self.units, dropout)
        self.fusion = keras.layers.Dense(2 * self.units[-1], activation="sigmoid")

    def build(self, x_shape, domain_shape, embedding_shape):
        self.specific.build(x_shape, domain_shape)
        self.fusion.build(embedding_shape)
        self.shared.build(x_shape)
        self.built = True

    def call(self, x, domain, embedding, training=False):
        """Map x `(batch, width)`, indices `(batch,)` and s `(batch, dim)` to `(batch, 3 * units[-1])`."""
        own = ops.squeeze(self.specific(x, domain, training=training), 1)
        b_1, b_2 = ops.split(self.fusion(embedding), 2, axis=1)
        own, shared = b_1 * own, b_2 * self.shared(x, training=training)
        return ops.concatenate([own, own * shared, shared], axis=1)

    @property
    def own_units(self) -> int:
        """How many of the outputs, from the first on, are the domain's own part."""
        return self.units[-1]

    def compute_output_shape(self, x_shape, domain_shape, embedding_shape):
        return (x_shape[0], 3 * self.units[-1])

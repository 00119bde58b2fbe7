"""Experts that belong to one domain each."""

from collections.abc import Sequence

import keras
from keras import ops

from models.backend.rows import by_domain, move_by_row, take_rows
from models.layers import domain as domain_layers
from models.layers.mlp import glorot
from models.layers.routing import DomainBlocks


@keras.saving.register_keras_serializable("mdr")
class DomainExperts(keras.layers.Layer):
    """Several MLPs of one shape for every domain; a row goes through those of its own domain only.

    The rows are grouped by domain once, and each layer is one batched product over groups and experts.
    Source: the task-specific experts of CGC (Tang et al., RecSys 2020, section 4.1).

    Args:
        n_domains: number of domains, the unknown one included.
        n_experts: experts of each domain.
        units: width of each layer of an expert.
        dropout: share of activations dropped in training; a row's mask is the same in all of its experts.
    """

    def __init__(self, n_domains: int, n_experts: int, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.n_experts = n_experts
        self.units = tuple(units)
        self.dropout = dropout
        self._drop = keras.layers.Dropout(dropout, noise_shape=(None, 1, None, None))

    def build(self, x_shape, domain_shape=None):
        width = x_shape[-1]
        self.kernels, self.biases = [], []
        for i, units in enumerate(self.units):
            # As in `DomainDense`, all domains begin alike; the experts of a domain differ.
            one = glorot(width, units)
            kernel = self.add_weight(
                name=f"kernel_{i}",
                shape=(self.n_domains, self.n_experts, width, units),
                initializer=lambda shape, dtype=None, one=one: ops.broadcast_to(one(shape[1:], dtype), shape),
            )
            bias = self.add_weight(
                name=f"bias_{i}", shape=(self.n_domains, self.n_experts, units), initializer="zeros"
            )
            move_by_row(kernel, bias)
            by_domain(kernel, bias)
            self.kernels.append(kernel)
            self.biases.append(bias)
            width = units
        self.built = True

    def call(self, x, domain, training=False):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, n_experts, units[-1])`."""
        blocks = DomainBlocks(domain, self.n_domains, domain_layers.BLOCK_ROWS)
        x = ops.expand_dims(blocks.group(x), 1)  # (blocks, 1 or experts, rows of a block, width)
        for kernels, biases in zip(self.kernels, self.biases, strict=True):
            kernel = ops.cast(take_rows(kernels, blocks.domain), x.dtype)
            bias = ops.cast(take_rows(biases, blocks.domain), x.dtype)
            x = ops.relu(ops.matmul(x, kernel) + ops.expand_dims(bias, 2))
            x = self._drop(x, training=training)
        joined = self.n_experts * self.units[-1]
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, blocks.size, joined))
        return ops.reshape(blocks.ungroup(x), (-1, self.n_experts, self.units[-1]))

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (x_shape[0], self.n_experts, self.units[-1])

    def get_config(self):
        config = {"n_domains": self.n_domains, "n_experts": self.n_experts}
        return {**super().get_config(), **config, "units": self.units, "dropout": self.dropout}

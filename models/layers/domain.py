"""Layers with weights of their own for every domain."""

from collections.abc import Sequence

import keras
from keras import ops

from models.backend.rows import by_domain, move_by_row, take_rows
from models.layers.mlp import glorot
from models.layers.routing import DomainBlocks

BLOCK_ROWS = 16  # see `DomainBlocks`; smaller ones copy more weights, larger ones are padded more


@keras.saving.register_keras_serializable("mdr")
class DomainDense(keras.layers.Layer):
    """A dense layer that uses the weights of each row's domain: activation(x W_d + b_d).

    The rows are grouped by domain first, so that the work is that of the domains in the batch and does not
    grow with their number in all; the weights of other domains are neither read nor moved.

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of the output.
        activation: name of a Keras activation.
    """

    of_domains = True  # whether it is domains that have weights; a subclass may have them for something else

    def __init__(self, n_domains: int, units: int, activation: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, x_shape, domain_shape=None):
        width = x_shape[-1]
        # All domains begin with the same weights: a domain with few rows then stays near to the others.
        one = glorot(width, self.units)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.n_domains, width, self.units),
            initializer=lambda shape, dtype=None: ops.broadcast_to(one(shape[1:], dtype), shape),
        )
        self.bias = self.add_weight(name="bias", shape=(self.n_domains, self.units), initializer="zeros")
        move_by_row(self.kernel, self.bias)
        if self.of_domains:
            by_domain(self.kernel, self.bias)
        self.built = True

    def call(self, x, domain):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, units)`."""
        blocks = DomainBlocks(domain, self.n_domains, BLOCK_ROWS)
        kernel = ops.cast(take_rows(self.kernel, blocks.domain), x.dtype)
        bias = ops.cast(take_rows(self.bias, domain), x.dtype)
        return self.activation(blocks.ungroup(ops.matmul(blocks.group(x), kernel)) + bias)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (*x_shape[:-1], self.units)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        config = {"n_domains": self.n_domains, "units": self.units, "activation": activation}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("mdr")
class DomainScores(keras.layers.Dense):
    """A dense layer of one output for each domain, the unknown one included."""

    def build(self, x_shape):
        super().build(x_shape)
        by_domain(*self.weights, axis=-1)


@keras.saving.register_keras_serializable("mdr")
class DomainTower(keras.layers.Layer):
    """One tower per domain: dense layers with ReLU and dropout, then one logit.

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of each hidden layer.
        dropout: share of activations dropped in training.
    """

    dense = DomainDense  # of every layer; a subclass may name another

    def __init__(self, n_domains: int, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.units = tuple(units)
        self.dropout = dropout
        self._hidden = [self.dense(n_domains, width, activation="relu") for width in self.units]
        self._logit = self.dense(n_domains, 1)
        self._drop = keras.layers.Dropout(dropout)

    def build(self, x_shape, domain_shape=None):
        for layer in (*self._hidden, self._logit):
            layer.build(x_shape)
            x_shape = (*x_shape[:-1], layer.units)
        self.built = True

    def call(self, x, domain, training=False, **more):
        """Map `(batch, width)` and domain indices `(batch,)` to logits `(batch,)`.

        What a subclass's layers read besides is handed on to each of them.
        """
        for layer in self._hidden:
            x = self._drop(layer(x, domain, **more), training=training)
        return ops.squeeze(self._logit(x, domain, **more), 1)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (x_shape[0],)

    def get_config(self):
        config = {"n_domains": self.n_domains, "units": self.units, "dropout": self.dropout}
        return {**super().get_config(), **config}

"""Layers with weights of their own for every domain."""

from collections.abc import Sequence

import keras
from keras import ops

# Up to here all domains' outputs are cheaper than a copy of the weights per row (measured on two cores).
DENSE_DOMAINS = 32


@keras.saving.register_keras_serializable("mdr")
class DomainDense(keras.layers.Layer):
    """A dense layer that uses the weights of each row's domain: activation(x W_d + b_d).

    With few domains all domains' outputs are computed as one product and the row's own is taken; with many,
    the weights of the rows' domains are looked up, so that the work does not grow with their number.

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of the output.
        activation: name of a Keras activation.
    """

    def __init__(self, n_domains: int, units: int, activation: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, x_shape, domain_shape=None):
        width = x_shape[-1]
        limit = (6 / (width + self.units)) ** 0.5
        # All domains begin with the same weights: a domain with few rows then stays near to the others.
        one = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.n_domains, width, self.units),
            initializer=lambda shape, dtype=None: ops.broadcast_to(one(shape[1:], dtype), shape),
        )
        self.bias = self.add_weight(name="bias", shape=(self.n_domains, self.units), initializer="zeros")
        self.built = True

    def call(self, x, domain):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, units)`."""
        kernel, bias = ops.cast(self.kernel, x.dtype), ops.cast(self.bias, x.dtype)
        bias = ops.take(bias, domain, axis=0)
        if self.n_domains <= DENSE_DOMAINS:
            every = ops.matmul(ops.expand_dims(x, 0), kernel)  # (domains, batch, units)
            own = ops.transpose(ops.one_hot(domain, self.n_domains, dtype=x.dtype))
            y = ops.sum(every * ops.expand_dims(own, 2), axis=0)
        else:
            y = ops.squeeze(ops.matmul(ops.expand_dims(x, 1), ops.take(kernel, domain, axis=0)), 1)
        return self.activation(y + bias)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (*x_shape[:-1], self.units)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        config = {"n_domains": self.n_domains, "units": self.units, "activation": activation}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("mdr")
class DomainTower(keras.layers.Layer):
    """One tower per domain: dense layers with ReLU and dropout, then one logit.

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of each hidden layer.
        dropout: share of activations dropped in training.
    """

    def __init__(self, n_domains: int, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.units = tuple(units)
        self.dropout = dropout
        self._hidden = [DomainDense(n_domains, width, activation="relu") for width in self.units]
        self._logit = DomainDense(n_domains, 1)
        self._drop = keras.layers.Dropout(dropout)

    def build(self, x_shape, domain_shape=None):
        for layer in (*self._hidden, self._logit):
            layer.build(x_shape)
            x_shape = (*x_shape[:-1], layer.units)
        self.built = True

    def call(self, x, domain, training=False):
        """Map `(batch, width)` and domain indices `(batch,)` to logits `(batch,)`."""
        for layer in self._hidden:
            x = self._drop(layer(x, domain), training=training)
        return ops.squeeze(self._logit(x, domain), 1)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (x_shape[0],)

    def get_config(self):
        config = {"n_domains": self.n_domains, "units": self.units, "dropout": self.dropout}
        return {**super().get_config(), **config}

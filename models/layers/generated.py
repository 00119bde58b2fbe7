"""A dense layer whose weights are computed from what is known about the row."""

import keras
from keras import ops

from models.layers import domain as domain_layers
from models.layers.routing import DomainBlocks


@keras.saving.register_keras_serializable("mdr")
class GeneratedDense(keras.layers.Layer):
    """activation(x W(z) + b(z)), with W and b linear in a condition z.

    Exact: W(z) has `in * units` values, made from z for every row, or once per block of rows where z is the
    same for all rows of a domain. Low rank: W(z) = A M(z) B with A `(in, rank)` and B `(rank, units)` shared
    and only M `(rank, rank)` made from z. Source: M2M (Zhang et al., WSDM 2022, section 4.3); the low-rank
    form is that of HAMUR (Li et al., CIKM 2023, section 3.3).

    Args:
        units: width of the output.
        rank: of the low-rank form; 0 is exact.
        n_domains: number of domains, the unknown one included, where z is the same for all rows of a domain;
            0 where it is not.
        activation: name of a Keras activation.
    """

    def __init__(
        self, units: int, rank: int = 0, n_domains: int = 0, activation: str | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.units = units
        self.rank = rank
        self.n_domains = n_domains
        self.activation = keras.activations.get(activation)

    def build(self, x_shape, condition_shape, domain_shape=None):
        width, known = x_shape[-1], condition_shape[-1]
        inner = (self.rank, self.rank) if self.rank else (width, self.units)
        if self.rank:
            self.left = self.add_weight(name="left", shape=(width, self.rank), initializer="glorot_uniform")
            self.right = self.add_weight(
                name="right", shape=(self.rank, self.units), initializer="glorot_uniform"
            )
        # The sum over z of what is generated has the scale that Glorot gives to an ordinary kernel.
        limit = (6 / (sum(inner) * known)) ** 0.5
        initializer = keras.initializers.RandomUniform(-limit, limit)
        fixed = keras.initializers.GlorotUniform()
        self.generator = self.add_weight(
            name="generator", shape=(known, inner[0] * inner[1]), initializer=initializer
        )
        self.base = self.add_weight(
            name="base",
            shape=(inner[0] * inner[1],),
            initializer=lambda shape, dtype=None: ops.reshape(fixed(inner, dtype), shape),
        )
        self.bias = self.add_weight(name="bias", shape=(known, self.units), initializer="zeros")
        self.built = True

    def call(self, x, condition, domain=None):
        """Map rows.

        Args:
            x: `(batch, in)`. condition: z `(batch, known)`.
            domain: indices `(batch,)`; given with `n_domains` only.

        Returns:
            `(batch, units)`.
        """
        bias = ops.matmul(condition, ops.cast(self.bias, x.dtype))
        if self.rank:
            x = ops.matmul(x, ops.cast(self.left, x.dtype))
        if self.n_domains:
            blocks = DomainBlocks(domain, self.n_domains, domain_layers.BLOCK_ROWS)
            kernel = self._kernel(blocks.group(condition)[:, 0], x.shape[-1])
            y = blocks.ungroup(ops.matmul(blocks.group(x), kernel))
        else:
            y = ops.squeeze(ops.matmul(ops.expand_dims(x, 1), self._kernel(condition, x.shape[-1])), 1)
        if self.rank:
            y = ops.matmul(y, ops.cast(self.right, x.dtype))
        return self.activation(y + bias)

    def _kernel(self, condition, width: int):
        values = ops.matmul(condition, ops.cast(self.generator, condition.dtype))
        values += ops.cast(self.base, condition.dtype)
        return ops.reshape(values, (-1, width, self.rank or self.units))

    def compute_output_shape(self, x_shape, condition_shape, domain_shape=None):
        return (*x_shape[:-1], self.units)

    def get_config(self):
        config = {"units": self.units, "rank": self.rank, "n_domains": self.n_domains}
        return {**super().get_config(), **config, "activation": keras.activations.serialize(self.activation)}

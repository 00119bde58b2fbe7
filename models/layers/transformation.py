"""A dense layer whose weights are generated for every row from its fields (D3)."""

from math import prod

import keras
from keras import ops

from models.layers.mlp import glorot

HALVES = 4.0  # 1 / (g_sp * g_sh) where both are 1/2


@keras.saving.register_keras_serializable("mdr")
class TransformationLayer(keras.layers.Layer):
    """activation(x W + b) with W = (g_sp W_spec) * (g_sh W_glob), * element by element, and b likewise.

    W_spec = sigma(H + sigma(H W1 + b1)) W2 + b2 with H = [FC_1(x'_1), ..., FC_n(x'_n)] is a row's own, W_glob
    that of all rows; without gates, W = W_spec. b_spec shares H, W1 and b1 with W_spec, a choice of ours.
    Source: D3, Eq. 9-10 and 13-14; sigma is ReLU.

    Exact, W2 has H's width times `in * units` values, and every row a matrix of its own. Low rank, the
    default, keeps W2 as a product P K with `rank` columns and rows. Then W_spec = b2 + sum_r s_r K_r with
    s = sigma(H + sigma(H W1 + b1)) P: x W is a sum, weighted by 1 and s, of products of x with `rank + 1`
    matrices that all rows have in common.

    The layer begins as an ordinary dense one: with gates, which begin at 1/2, b2 begins at 4 and W_glob as
    Glorot has it; without, b2 does. What a row adds to b2 is small at first, for embeddings begin near zero;
    both forms draw it on the same scale: for an H of the order of one, one with gates, and as b2 without. Of
    P K, K takes that scale and P one: a step of Adam, which moves all values alike, then moves W_spec
    about as far as in the exact form.

    Args:
        units: width of the output.
        hidden: width of each FC_j(x'_j).
        rank: of the low-rank form; None is exact.
        activation: name of a Keras activation.
    """

    def __init__(
        self,
        units: int,
        hidden: int = 16,
        rank: int | None = 8,
        activation: str | None = "relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = hidden
        self.rank = rank
        self.activation = keras.activations.get(activation)

    def build(self, x_shape, fields_shape, gates_shape=None):
        width, (n, dim) = x_shape[-1], fields_shape[1:]
        known, shape = n * self.hidden, (width, self.units)
        fused = gates_shape is not None
        size = 1.0 if fused else (2 / sum(shape)) ** 0.5  # of what a row adds to b2
        constant, normal = keras.initializers.Constant, keras.initializers.RandomNormal
        self.field_kernel = self._weight("field_kernel", (n, dim, self.hidden), glorot(dim, self.hidden))
        self.field_bias = self._weight("field_bias", (n, self.hidden), "zeros")
        self.inner_kernel = self._weight("inner_kernel", (known, known), "glorot_uniform")
        self.inner_bias = self._weight("inner_bias", (known,), "zeros")
        if self.rank is None:
            spread = normal(stddev=size * known**-0.5)
            self.generator = self._weight("generator", (known, prod(shape)), spread)
        else:
            spread = normal(stddev=size * (known * self.rank) ** -0.5)
            self.scores = self._weight("scores", (known, self.rank), normal(stddev=1.0))  # P
            self.basis = self._weight("basis", (width, self.rank, self.units), spread)  # K
        self.base = self._weight("base", shape, constant(HALVES) if fused else "glorot_uniform")  # b2 of W
        self.bias_generator = self._weight("bias_generator", (known, self.units), "zeros")
        self.bias_base = self._weight("bias_base", shape[1:], constant(HALVES) if fused else "zeros")
        self.shared_kernel = self._weight("shared_kernel", shape, "glorot_uniform") if fused else None
        self.shared_bias = self._weight("shared_bias", shape[1:], "zeros") if fused else None
        self.built = True

    def _weight(self, name, shape, initializer):
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def call(self, x, fields, gates=None):
        """Map rows.

        Args:
            x: `(batch, in)`. fields: x' `(batch, n, dim)`.
            gates: g `(batch, 2)`, the specific part's first; None where nothing is shared.

        Returns:
            `(batch, units)`.
        """
        h = ops.einsum("bnd,ndh->bnh", fields, self._of(self.field_kernel, x)) + self._of(self.field_bias, x)
        h = ops.reshape(h, (-1, fields.shape[1] * self.hidden))
        inner = ops.relu(ops.matmul(h, self._of(self.inner_kernel, x)) + self._of(self.inner_bias, x))
        known = ops.relu(h + inner)
        y = self._exact(x, known) if self.rank is None else self._low_rank(x, known)
        bias = ops.matmul(known, self._of(self.bias_generator, x)) + self._of(self.bias_base, x)
        if gates is None:
            return self.activation(y + bias)
        bias *= self._of(self.shared_bias, x)
        return self.activation(ops.prod(gates, axis=1, keepdims=True) * (y + bias))

    def _exact(self, x, known):
        kernel = ops.matmul(known, self._of(self.generator, x))
        kernel = ops.reshape(kernel, (-1, *self.base.shape)) + self._of(self.base, x)
        if self.shared_kernel is not None:
            kernel *= self._of(self.shared_kernel, x)
        return ops.squeeze(ops.matmul(ops.expand_dims(x, 1), kernel), 1)

    def _low_rank(self, x, known):
        base, basis = self._of(self.base, x), self._of(self.basis, x)
        if self.shared_kernel is not None:
            shared = self._of(self.shared_kernel, x)
            base, basis = base * shared, basis * ops.expand_dims(shared, 1)
        products = ops.matmul(x, ops.reshape(basis, (x.shape[-1], self.rank * self.units)))
        products = ops.reshape(products, (-1, self.rank, self.units))
        scores = ops.expand_dims(ops.matmul(known, self._of(self.scores, x)), 2)
        return ops.matmul(x, base) + ops.sum(scores * products, axis=1)

    @staticmethod
    def _of(weight, x):
        """Return a weight in the precision of x, to which Keras does not cast in every operation."""
        return ops.cast(weight, x.dtype)

    def compute_output_shape(self, x_shape, fields_shape, gates_shape=None):
        return (*x_shape[:-1], self.units)

    def get_config(self):
        config = {"units": self.units, "hidden": self.hidden, "rank": self.rank}
        return {**super().get_config(), **config, "activation": keras.activations.serialize(self.activation)}

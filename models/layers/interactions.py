"""Interactions of the fields of a row: in pairs, in crosses of bounded degree, by attention."""

from collections.abc import Sequence

import keras
from keras import ops


def bi_interaction(fields):
    """Return sum_{i<j} v_i * v_j over the fields v_i of each row, in time linear in their number.

    Source: bi-interaction pooling (NFM, He & Chua, SIGIR 2017, Eq. 3-4); its sum over the embedding's
    dimensions is the second-order term of a factorization machine (Rendle, ICDM 2010, Lemma 3.1).

    Args:
        fields: `(batch, fields, dim)`.

    Returns:
        `(batch, dim)`.
    """
    return (ops.square(ops.sum(fields, axis=1)) - ops.sum(ops.square(fields), axis=1)) / 2


@keras.saving.register_keras_serializable("mdr")
class VectorCross(keras.layers.Layer):
    """One cross with a weight vector: x_{l+1} = x_0 (x_l . w_l) + b_l + x_l.

    Source: DCN (Wang et al., ADKDD 2017, Eq. 3). The cross with a matrix is `keras_rs.layers.FeatureCross`.
    """

    def build(self, x0_shape, x_shape):
        width = x0_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=(width, 1), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
        self.built = True

    def call(self, x0, x):
        """Cross the stack's input x_0 with the previous cross x_l, both `(batch, width)`, as the result."""
        return x0 * ops.matmul(x, ops.cast(self.kernel, x.dtype)) + self.bias + x

    def compute_output_shape(self, x0_shape, x_shape):
        return x_shape


@keras.saving.register_keras_serializable("mdr")
class CompressedInteraction(keras.layers.Layer):
    """A compressed interaction network (CIN), which crosses whole embeddings once more in each layer.

    x^k_h = sum_{i,j} W^{k,h}_{ij} (x^{k-1}_i * x^0_j), where x^0 are the fields, and the result joins the
    sums over dim of all x^k_h. Source: xDeepFM (Lian et al., KDD 2018, Eq. 6 and 8), with the identity as
    the activation, which the paper finds to be the best one.

    Args:
        units: number of vectors x^k_h in each layer k.
    """

    def __init__(self, units: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.units = tuple(units)

    def build(self, input_shape):
        fields = previous = input_shape[1]
        self.kernels = []
        for i, units in enumerate(self.units):
            shape = (previous * fields, units)
            self.kernels.append(
                self.add_weight(name=f"kernel_{i}", shape=shape, initializer="glorot_uniform")
            )
            previous = units
        self.built = True

    def call(self, fields):
        """Map `(batch, fields, dim)` to `(batch, sum(units))`."""
        x0 = ops.transpose(fields, (0, 2, 1))
        x, pooled = x0, []
        for kernel in self.kernels:
            pairs = ops.expand_dims(x, 3) * ops.expand_dims(x0, 2)  # (batch, dim, x^{k-1}, x^0)
            pairs = ops.reshape(pairs, (-1, x0.shape[1], kernel.shape[0]))
            x = ops.matmul(pairs, ops.cast(kernel, pairs.dtype))
            pooled.append(ops.sum(x, axis=1))
        return ops.concatenate(pooled, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], sum(self.units))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("mdr")
class FieldAttention(keras.layers.Layer):
    """Self-attention of the fields: every field becomes a mixture of all, in several heads.

    a_mk = softmax_k((W_Q e_m) . (W_K e_k)) in each head, and the result for field m is
    ReLU(joined heads of sum_k a_mk W_V e_k + W_Res e_m). Source: the interacting layer of AutoInt (Song et
    al., CIKM 2019, Eq. 5-8), whose scores are neither scaled nor have the products a bias.

    Args:
        n_heads: number of heads.
        units: width of a head.
    """

    def __init__(self, n_heads: int, units: int, **kwargs):
        super().__init__(**kwargs)
        self.n_heads = n_heads
        self.units = units

    def build(self, input_shape):
        shape = (input_shape[-1], self.n_heads * self.units)
        self.query, self.key, self.value, self.residual = (
            self.add_weight(name=name, shape=shape, initializer="glorot_uniform")
            for name in ("query", "key", "value", "residual")
        )
        self.built = True

    def call(self, fields):
        """Map `(batch, fields, dim)` to `(batch, fields, n_heads * units)`."""
        query, key, value = (self._heads(fields, kernel) for kernel in (self.query, self.key, self.value))
        attention = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))))
        mixed = ops.transpose(ops.matmul(attention, value), (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (-1, fields.shape[1], self.n_heads * self.units))
        return ops.relu(mixed + ops.matmul(fields, ops.cast(self.residual, fields.dtype)))

    def _heads(self, fields, kernel):
        """Return a product in heads, `(batch, n_heads, fields, units)`."""
        product = ops.matmul(fields, ops.cast(kernel, fields.dtype))
        product = ops.reshape(product, (-1, fields.shape[1], self.n_heads, self.units))
        return ops.transpose(product, (0, 2, 1, 3))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.n_heads * self.units)

    def get_config(self):
        return {**super().get_config(), "n_heads": self.n_heads, "units": self.units}

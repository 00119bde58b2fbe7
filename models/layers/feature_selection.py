"""Which of a row's fields tell its domain, by attention among them (D3)."""

import keras
from keras import ops

SQUARE_OF_NOTHING = 1e-6  # keeps a field of zeros, a number that is 0, at zero, and its gradient finite


@keras.saving.register_keras_serializable("mdr")
class DomainSensitiveFeatureSelection(keras.layers.Layer):
    """x' = A x + x with A = softmax(Q K^T), Q = u W^Q and K = u W^K, over a row's fields.

    u is x with every field brought to unit length. Embeddings begin near zero, and Q and K of x itself stay
    so small that after a whole training every field still gets the same attention. Eq. 6 has values V, too,
    which no other equation reads: there are none here. Source: D3, Eq. 6-8.
    """

    def build(self, fields_shape):
        shape = (fields_shape[-1], fields_shape[-1])
        self.query = self.add_weight(name="query", shape=shape, initializer="glorot_uniform")
        self.key = self.add_weight(name="key", shape=shape, initializer="glorot_uniform")
        self.built = True

    def call(self, fields):
        """Map `(batch, n, dim)` to x' `(batch, n, dim)` and A `(batch, n, n)`; a row of A adds up to one."""
        query, key = (ops.cast(weight, fields.dtype) for weight in (self.query, self.key))
        lengths = ops.sum(ops.square(fields), axis=-1, keepdims=True)
        unit = fields * ops.rsqrt(lengths + SQUARE_OF_NOTHING)
        q, k = (ops.einsum("bnd,de->bne", unit, weight) for weight in (query, key))
        attention = ops.softmax(ops.einsum("bne,bme->bnm", q, k))
        return ops.matmul(attention, fields) + fields, attention

    def compute_output_shape(self, fields_shape):
        batch, n, _ = fields_shape
        return fields_shape, (batch, n, n)

"""Which of a row's fields tell its domain, by attention among them (D3)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class DomainSensitiveFeatureSelection(keras.layers.Layer):
    """x' = A x + x with A = softmax(Q K^T), Q = x W^Q and K = x W^K, over a row's fields.

    Eq. 6 has values V, too, which no other equation reads: there are none here. Source: D3, Eq. 6-8.
    """

    def build(self, fields_shape):
        shape = (fields_shape[-1], fields_shape[-1])
        self.query = self.add_weight(name="query", shape=shape, initializer="glorot_uniform")
        self.key = self.add_weight(name="key", shape=shape, initializer="glorot_uniform")
        self.built = True

    def call(self, fields):
        """Map `(batch, n, dim)` to x' `(batch, n, dim)` and A `(batch, n, n)`; a row of A adds up to one."""
        query, key = (ops.cast(weight, fields.dtype) for weight in (self.query, self.key))
        q, k = (ops.einsum("bnd,de->bne", fields, weight) for weight in (query, key))
        attention = ops.softmax(ops.einsum("bne,bme->bnm", q, k))
        return ops.matmul(attention, fields) + fields, attention

    def compute_output_shape(self, fields_shape):
        batch, n, _ = fields_shape
        return fields_shape, (batch, n, n)

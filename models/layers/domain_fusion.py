"""How much of a row's network is its domain's own and how much is shared (D3)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class DomainFusion(keras.layers.Layer):
    """g = softmax(MLP(x')) = [g_sp, g_sh], the weights of the specific and of the shared part.

    The paper does not say how deep the MLP is: it has one hidden layer here. Embeddings begin near zero, and
    so both weights near 1/2. Source: D3, Eq. 11-12.

    Args:
        hidden: width of the MLP's hidden layer.
    """

    def __init__(self, hidden: int = 32, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        policy = self.dtype_policy
        self._hidden = keras.layers.Dense(hidden, activation="relu", dtype=policy)
        self._gates = keras.layers.Dense(2, activation="softmax", dtype=policy)

    def build(self, fields_shape):
        self._hidden.build((None, fields_shape[1] * fields_shape[2]))
        self._gates.build((None, self.hidden))
        self.built = True

    def call(self, fields):
        """Map x' `(batch, n, dim)` to g `(batch, 2)`, the specific part's weight first."""
        return self._gates(self._hidden(ops.reshape(fields, (-1, fields.shape[1] * fields.shape[2]))))

    def compute_output_shape(self, fields_shape):
        return (fields_shape[0], 2)

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden}

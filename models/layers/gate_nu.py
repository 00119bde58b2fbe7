"""Gates that scale embeddings and hidden units by what is known about the row."""

from collections.abc import Sequence

import keras

from models.layers.mlp import MLP

GAMMA = 2.0  # a gate is between 0 and 2, and begins near 1


@keras.saving.register_keras_serializable("mdr")
class GateNU(keras.layers.Layer):
    """x * gamma sigmoid(W' relu(W c + b) + b'), element by element, c being what the gate knows.

    The hidden width is that of x. Source: the Gate Neural Unit of PEPNet (Chang et al., KDD 2023, section
    2.2).
    """

    def build(self, x_shape, condition_shape):
        width = x_shape[-1]
        self._cross = keras.layers.Dense(width, activation="relu", dtype=self.dtype_policy)
        self._gate = keras.layers.Dense(width, activation="sigmoid", dtype=self.dtype_policy)
        self._cross.build(condition_shape)
        self._gate.build(x_shape)
        self.built = True

    def call(self, x, condition):
        """Scale x `(batch, width)` by a condition c `(batch, known)`."""
        return x * (GAMMA * self._gate(self._cross(condition)))

    def compute_output_shape(self, x_shape, condition_shape):
        return x_shape


@keras.saving.register_keras_serializable("mdr")
class GatedMLP(keras.layers.Layer):
    """Dense layers with ReLU and dropout whose units are scaled by a `GateNU` after each.

    Source: the Parameter Personalized Network of PEPNet (Chang et al., KDD 2023, section 2.2).

    Args:
        units: width of each layer.
        dropout: share of activations dropped in training.
    """

    def __init__(self, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = tuple(units)
        self.dropout = dropout
        self._hidden = [MLP((width,), dropout, dtype=self.dtype_policy) for width in self.units]
        self._gates = [GateNU(dtype=self.dtype_policy) for _ in self.units]

    def build(self, x_shape, condition_shape):
        for layer, gate in zip(self._hidden, self._gates, strict=True):
            layer.build(x_shape)
            x_shape = layer.compute_output_shape(x_shape)
            gate.build(x_shape, condition_shape)
        self.built = True

    def call(self, x, condition, training=False):
        """Map x `(batch, width)` and a condition `(batch, known)` to `(batch, units[-1])`."""
        for layer, gate in zip(self._hidden, self._gates, strict=True):
            x = gate(layer(x, training=training), condition)
        return x

    def compute_output_shape(self, x_shape, condition_shape):
        return (*x_shape[:-1], self.units[-1] if self.units else x_shape[-1])

    def get_config(self):
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}

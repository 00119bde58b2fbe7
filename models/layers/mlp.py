"""Stacks of dense layers: one for all rows, and several side by side."""

from collections.abc import Sequence

import keras
from keras import ops


def glorot(width: int, units: int) -> keras.initializers.Initializer:
    """Return Glorot's uniform rule for one of several kernels that are stacked in a weight.

    Keras's own would count the other axes as a part of the receptive field.
    """
    limit = (6 / (width + units)) ** 0.5
    return keras.initializers.RandomUniform(-limit, limit)


@keras.saving.register_keras_serializable("mdr")
class MLP(keras.layers.Layer):
    """Dense layers with ReLU and dropout after each.

    Args:
        units: width of each layer.
        dropout: share of activations dropped in training.
    """

    can_be_scaled = True

    def __init__(self, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = tuple(units)
        self.dropout = dropout
        self._layers_in_order = [keras.layers.Dense(width, activation="relu") for width in self.units]
        self._drop = keras.layers.Dropout(dropout)

    def build(self, input_shape):
        for layer, width in zip(self._layers_in_order, self.units, strict=True):
            layer.build(input_shape)
            input_shape = (*input_shape[:-1], width)
        self.built = True

    def call(self, x, training=False, scales=None):
        """Map `(batch, width)` to `(batch, units[-1])`.

        Each layer's output is multiplied by its scale `(batch, units)`, if there are any.
        """
        for i, layer in enumerate(self._layers_in_order):
            x = layer(x) if scales is None else layer(x) * scales[i]
            x = self._drop(x, training=training)
        return x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units[-1] if self.units else input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}


@keras.saving.register_keras_serializable("mdr")
class Experts(keras.layers.Layer):
    """Several MLPs of one shape over the same input, computed as one batched product per layer.

    Source: the experts f_i(x) of MMoE (Ma et al., KDD 2018, Eq. 5).

    Args:
        n_experts: number of experts.
        units: width of each layer of an expert.
        dropout: share of activations dropped in training; a row's mask is the same in every expert, since
            drawing one for each costs as much as the products.
    """

    can_be_scaled = True

    def __init__(self, n_experts: int, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.n_experts = n_experts
        self.units = tuple(units)
        self.dropout = dropout
        self._drop = keras.layers.Dropout(dropout, noise_shape=(1, None, None))

    def build(self, input_shape):
        width = input_shape[-1]
        self.kernels, self.biases = [], []
        for i, units in enumerate(self.units):
            self.kernels.append(
                self.add_weight(
                    name=f"kernel_{i}",
                    shape=(self.n_experts, width, units),
                    initializer=glorot(width, units),
                )
            )
            self.biases.append(
                self.add_weight(name=f"bias_{i}", shape=(self.n_experts, units), initializer="zeros")
            )
            width = units
        self.built = True

    def call(self, x, training=False, scales=None):
        """Map `(batch, width)` to `(batch, n_experts, units[-1])`.

        Each layer's output is multiplied by its scale `(batch, n_experts, units)`, if there are any.
        """
        x = ops.expand_dims(x, 0)  # experts first: (1 or experts, batch, width)
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            # Keras casts a weight to a lower precision in most operations, but not in a matmul of two ranks.
            kernel, bias = ops.cast(kernel, x.dtype), ops.cast(bias, x.dtype)
            x = ops.relu(ops.matmul(x, kernel) + ops.expand_dims(bias, 1))
            if scales is not None:
                x = x * ops.transpose(scales[i], (1, 0, 2))
            x = self._drop(x, training=training)
        return ops.transpose(x, (1, 0, 2))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n_experts, self.units[-1])

    def get_config(self):
        config = {"n_experts": self.n_experts, "units": self.units, "dropout": self.dropout}
        return {**super().get_config(), **config}

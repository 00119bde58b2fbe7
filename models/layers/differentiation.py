"""Soft-partitioned differentiation: the row's domains scale what every shared layer gives (SSCTL)."""

from collections.abc import Callable

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class DifferentiationNetwork(keras.layers.Layer):
    """DN(x) = delta * sigmoid(FC(ReLU(FC(x)))) (SSCTL, Eq. 7).

    Args:
        units: width of the scale vector. hidden: width of the first layer.
        delta: largest scale.
    """

    def __init__(self, units: int, hidden: int, delta: float = 2.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = hidden
        self.delta = delta
        self._first = keras.layers.Dense(hidden, activation="relu")
        self._second = keras.layers.Dense(units, activation="sigmoid")

    def build(self, input_shape):
        self._first.build(input_shape)
        self._second.build((*input_shape[:-1], self.hidden))
        self.built = True

    def call(self, x):
        """Map `(batch, width)` to scales in (0, delta), `(batch, units)`."""
        return self.delta * self._second(self._first(x))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = {"units": self.units, "hidden": self.hidden, "delta": self.delta}
        return {**super().get_config(), **config}


class Differentiated(keras.layers.Layer):
    """A shared network whose layers are scaled: h_l = sqrt(DN_l(e_d) * DN_l(e_w)) * h'_l (SSCTL, Eq. 8).

    Args:
        layer: the network, an `MLP` or `Experts`; of experts, each has a scale of its own.
        domains_of: returns e_d and e_w of the rows that are being computed, both `(batch, dim)`.
        hidden: see `DifferentiationNetwork`. delta: likewise.

    Raises:
        ValueError: the layer does not let its layers be scaled.
    """

    def __init__(
        self, layer: keras.layers.Layer, domains_of: Callable, hidden: int, delta: float = 2.0, **kwargs
    ):
        super().__init__(**kwargs)
        if not getattr(layer, "can_be_scaled", False):
            raise ValueError(f"the layers of {type(layer).__name__} cannot be scaled one by one.")
        self.layer = layer
        self.domains_of = domains_of
        self.experts = getattr(layer, "n_experts", 1)
        self.networks = [DifferentiationNetwork(self.experts * n, hidden, delta) for n in layer.units]

    @property
    def units(self) -> tuple[int, ...]:
        """Widths of the network's layers."""
        return self.layer.units

    def build(self, input_shape):
        self.layer.build(input_shape)
        self.built = True

    def call(self, x, training=False):
        """Compute the network with scaled layers; input and output are those of the network."""
        e_d, e_w = self.domains_of()
        scales = [ops.sqrt(network(e_d) * network(e_w)) for network in self.networks]
        if self.experts > 1:
            scales = [ops.reshape(s, (-1, self.experts, s.shape[1] // self.experts)) for s in scales]
        return self.layer(x, training=training, scales=scales)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

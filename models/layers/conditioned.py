"""Layers that stand in an architecture's place of another one and read more than it did (D3)."""

from collections.abc import Callable
from math import prod

import keras
from keras import ops

from models.layers.star import FusedStarTower
from models.layers.transformation import TransformationLayer


class Transformed(keras.layers.Layer):
    """sigma(x W + b), perhaps with a logit after it, W and b generated for each row (D3, Eq. 14).

    Dropout follows the layer, as in the network that it replaces.

    Args:
        layer: makes W and b and applies them.
        seen: returns x' `(batch, n, dim)` and g `(batch, 2)` or None of the rows that are being computed.
        with_logit: whether the output is a logit. dropout: share of activations dropped in training.
    """

    def __init__(
        self, layer: TransformationLayer, seen: Callable, with_logit: bool, dropout: float, **kwargs
    ):
        super().__init__(**kwargs)
        self.layer = layer
        self.seen = seen
        self.logit = keras.layers.Dense(1) if with_logit else None
        self._drop = keras.layers.Dropout(dropout)

    def call(self, x, domain, embedding=None, training=False):
        """Map rows.

        Args:
            x: `(batch, ...)`, such as the outputs of several experts, which are joined.
            domain, embedding: what the replaced layer reads; not read here.
            training: whether dropout is active.

        Returns:
            `(batch, units)`, or logits `(batch,)`.
        """
        fields, gates = self.seen()
        hidden = self.layer(ops.reshape(x, (-1, prod(x.shape[1:]))), fields, gates)
        hidden = self._drop(hidden, training=training)
        return hidden if self.logit is None else ops.squeeze(self.logit(hidden), 1)

    @property
    def own_units(self) -> int:
        """How many of the outputs are the domain's own part, as in `InterestNetworks`: all."""
        return self.layer.units

    def compute_output_shape(self, x_shape, domain_shape=None, embedding_shape=None):
        return (x_shape[0], self.layer.units) if self.logit is None else (x_shape[0],)


class Fused(keras.layers.Layer):
    """A star network whose two parts are weighed for each row (D3, Eq. 13).

    Args:
        tower: the network. seen: as in `Transformed`.
    """

    def __init__(self, tower: FusedStarTower, seen: Callable, **kwargs):
        super().__init__(**kwargs)
        self.tower = tower
        self.seen = seen

    def call(self, x, domain, training=False):
        """Map `(batch, width)` and domain indices `(batch,)` to logits `(batch,)`."""
        _, gates = self.seen()
        return self.tower(x, domain, training=training, gates=gates)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (x_shape[0],)

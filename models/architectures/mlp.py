"""A multi-layer perceptron over all fields."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="single-domain", paper="the MLP of MAMDR (Luo et al., ICDE 2023, appendix A.2)")
class PlainMLP(MultiDomainModel):
    """y = w . h(x) + b: one network h over all fields, of which the domain is one more."""

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers. dropout: after each of them.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the network."""
        self.deep = self.part("shared", MLP(settings.units, settings.dropout))
        self.out = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """The network over all fields."""
        return ops.squeeze(self.out(self.represent(fields, domain, training)), 1)

    def represent(self, fields, domain, training):
        """Return h(x)."""
        return self.deep(flat(fields), training=training)

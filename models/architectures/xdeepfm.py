"""xDeepFM: a compressed interaction network beside a deep one."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.interactions import CompressedInteraction
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="single-domain", paper="Lian et al., KDD 2018, sections 3.1-3.2, Eq. 6 and 8")
class XDeepFM(MultiDomainModel):
    """y = w_linear . x + w_cin . CIN(x) + w_dnn . DNN(x) + b, the domain being one more field."""

    class Settings(Settings):
        """Widths.

        Attributes:
            cin_units: vectors in each layer of the CIN; the cost grows with the product of two in a row.
            units: hidden layers of the deep part. dropout: after each of them.
        """

        cin_units: tuple[int, ...] = (100, 100, 100)
        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the linear term, the CIN and the deep part."""
        self.add_linear_term()
        self.cin = CompressedInteraction(settings.cin_units)
        self.deep = self.part("shared", MLP(settings.units, settings.dropout))
        self.out = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """The CIN and the deep part; the base adds the linear term."""
        deep = self.deep(flat(fields), training=training)
        return ops.squeeze(self.out(ops.concatenate([self.cin(fields), deep], axis=1)), 1)

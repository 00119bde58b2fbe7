"""AutoInt: self-attention over the fields."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.interactions import FieldAttention
from models.registry import register
from schema.base import Settings


@register(kind="single-domain", paper="Song et al., CIKM 2019, Eq. 5-9")
class AutoInt(MultiDomainModel):
    """y = w . [e_1, ..., e_M] + b over the fields e_m after several layers of multi-head self-attention.

    The domain is one more field. This is the paper's AutoInt, not its AutoInt+ with a deep network beside it.
    """

    class Settings(Settings):
        """Depth and widths.

        Attributes:
            n_layers: attention layers. n_heads: heads of each. head_units: width of a head.
        """

        n_layers: int = 3
        n_heads: int = 2
        head_units: int = 32

    scalable = False

    def assemble(self, settings):
        """Make the attention layers."""
        self.attention = [
            FieldAttention(settings.n_heads, settings.head_units) for _ in range(settings.n_layers)
        ]
        self.out = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Eq. 5-9."""
        for layer in self.attention:
            fields = layer(fields)
        return ops.squeeze(self.out(flat(fields)), 1)

"""Deep & Cross Network, version 1."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.interactions import VectorCross
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="single-domain", paper="Wang et al., ADKDD 2017, sections 2.2-2.4, Eq. 3")
class DCN(MultiDomainModel):
    """y = w . [x_L, h(x_0)] + b, with crosses x_{l+1} = x_0 (x_l . w_l) + b_l + x_l beside a network h.

    The domain is one more field of x_0.
    """

    class Settings(Settings):
        """Depth and widths.

        Attributes:
            n_crosses: cross layers; three, as in AREAD's code, where the paper tunes their number.
            units: hidden layers of the deep part. dropout: after each of them.
        """

        n_crosses: int = 3
        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    cross = VectorCross

    def assemble(self, settings):
        """Make the crosses and the deep part."""
        self.crosses = [self.cross() for _ in range(settings.n_crosses)]
        self.deep = self.part("shared", MLP(settings.units, settings.dropout))
        self.out = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """The crosses beside the deep part."""
        return ops.squeeze(self.out(self.represent(fields, domain, training)), 1)

    def represent(self, fields, domain, training):
        """Return [x_L, h(x_0)]."""
        x0 = x = flat(fields)
        for cross in self.crosses:
            x = cross(x0, x)
        return ops.concatenate([x, self.deep(x0, training=training)], axis=1)

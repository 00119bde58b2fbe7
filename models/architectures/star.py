"""Star Topology Adaptive Recommender."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.mlp import MLP
from models.layers.partitioned_norm import PartitionedNorm
from models.layers.star import StarTower
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Sheng et al., CIKM 2021, sections 3.3-3.5, Eq. 2-8")
class STAR(MultiDomainModel):
    """y_d = s_m + s_a: s_m a star network, W * W_d and b + b_d, over normalised fields, s_a an auxiliary one.

    Each domain is normalised by itself, which would leave nothing of its own embedding, the same in all of
    its rows; so the embedding goes to the auxiliary network alone, joined to the normalised fields.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers of the star network. auxiliary_units: hidden layers of the auxiliary one.
            dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (256, 128, 64)
        auxiliary_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the normalisation and the two networks."""
        self.norm = PartitionedNorm(self.n_domains, shared=True)
        self.tower = self.part("tower", StarTower(self.n_domains, settings.units, settings.dropout))
        self.auxiliary = self.part("shared", MLP(settings.auxiliary_units, settings.dropout))
        self.auxiliary_logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Eq. 2-8."""
        x = flat(self.of_groups(fields, "general", "context"))
        x = self.norm(x, domain, training=training)
        hidden = self.auxiliary(ops.concatenate([fields[:, -1], x], axis=1), training=training)
        return self.tower(x, domain, training=training) + ops.squeeze(self.auxiliary_logit(hidden), 1)

"""Parameter Personalized Network: what is known about the row scales every hidden unit."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.gate_nu import GatedMLP
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Chang et al., KDD 2023, section 2.2")
class PPNet(MultiDomainModel):
    """y = DNN(E), hidden layers H scaled: GateNU(O_prior, stop(E)) * H, E without domain-side features.

    A log does not say which fields are of user, item or author, so O_prior is all of them and the domain. The
    paper's tower per task is one network for all domains, as there is one task.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers. dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    scalable = False

    def assemble(self, settings):
        """Make the gated network."""
        self.network = self.part("shared", GatedMLP(settings.units, settings.dropout))
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """The network, gated."""
        e = flat(self.of_groups(fields, "general", "context"))
        known = ops.concatenate([flat(fields), ops.stop_gradient(e)], axis=1)
        return ops.squeeze(self.logit(self.network(e, known, training=training)), 1)

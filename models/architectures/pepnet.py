"""Parameter and Embedding Personalized Network: EPNet below, PPNet above."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.gate_nu import GatedMLP, GateNU
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Chang et al., KDD 2023, section 2.2")
class PEPNet(MultiDomainModel):
    """y = DNN(O_ep), O_ep = GateNU(E_d, stop(E)) * E, each hidden layer GateNU(O_prior, stop(O_ep)) * H.

    E, E_d and O_prior are those of `epnet` and `ppnet`. The paper's tower per task is one network for all
    domains, as there is one task.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers. dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the gate of the embeddings and the gated network."""
        self.gate = self.part("gate", GateNU())
        self.network = self.part("shared", GatedMLP(settings.units, settings.dropout))
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Gate the embeddings, then the gated network."""
        e = flat(self.of_groups(fields, "general", "context"))
        side = flat(self.of_groups(fields, "domain"))
        gated = self.gate(e, ops.concatenate([side, ops.stop_gradient(e)], axis=1))
        known = ops.concatenate([flat(fields), ops.stop_gradient(gated)], axis=1)
        return ops.squeeze(self.logit(self.network(gated, known, training=training)), 1)

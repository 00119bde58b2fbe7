"""Embedding Personalized Network: the domain scales every embedding."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.gate_nu import GateNU
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Chang et al., KDD 2023, section 2.2")
class EPNet(MultiDomainModel):
    """y = DNN(O_ep), O_ep = GateNU(E_d, stop(E)) * E: domain-side features E_d scale the other embeddings E.

    The gate's input stops the gradient to E, so that domains do not pull at the embeddings through it. One
    network answers for all domains; the gate is all that tells it which domain it is in.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers. dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    network_layer = MLP  # a subclass may name another

    def assemble(self, settings):
        """Make the gate and the network."""
        self.gate = self.part("gate", GateNU())
        self.network = self.part("shared", self.network_layer(settings.units, settings.dropout))
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Gate the embeddings, then the network."""
        return ops.squeeze(self.logit(self.represent(fields, domain, training)), 1)

    def represent(self, fields, domain, training):
        """Return the last hidden layer."""
        return self.network(self.gated(fields), training=training)

    def gated(self, fields):
        """Return O_ep, `(batch, width)`."""
        e = flat(self.of_groups(fields, "general", "context"))
        side = flat(self.of_groups(fields, "domain"))
        return self.gate(e, ops.concatenate([side, ops.stop_gradient(e)], axis=1))

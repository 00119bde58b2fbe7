"""Parameter and Embedding Personalized Network: EPNet below, PPNet above."""

from keras import ops

from models.architectures.base import flat
from models.architectures.epnet import EPNet
from models.layers.gate_nu import GatedMLP
from models.registry import register


@register(kind="multi-domain", paper="Chang et al., KDD 2023, section 2.2")
class PEPNet(EPNet):
    """y = DNN(O_ep), O_ep = GateNU(E_d, stop(E)) * E, each hidden layer GateNU(O_prior, stop(O_ep)) * H.

    E, E_d and O_prior are those of `epnet` and `ppnet`. The paper's tower per task is one network for all
    domains, as there is one task.
    """

    network_layer = GatedMLP
    scalable = False

    def represent(self, fields, domain, training):
        """Return the last hidden layer."""
        gated = self.gated(fields)
        known = ops.concatenate([flat(fields), ops.stop_gradient(gated)], axis=1)
        return self.network(gated, known, training=training)

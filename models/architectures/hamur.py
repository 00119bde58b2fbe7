"""Hyper Adapter for Multi-Domain Recommendation."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.adapter import HyperAdapter
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Li et al., CIKM 2023, section 3")
class HAMUR(MultiDomainModel):
    """h_l+1 = A_l(relu(W_l h_l + b_l)), A_l(h) = h + norm_d(W_up(z) sigmoid(W_down(z) h)), z = hyper(x).

    Adapters A_l, one after every hidden layer, have weights that a hyper-network of all domains makes for
    each row; x holds the domain's embedding. The backbone is one network for all domains, so only the
    adapters' normalisation has weights of a domain. Bottleneck, rank and hyper-network are as wide as in the
    authors' code.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers of the backbone. dropout: after every one.
            hyper_units: layers of the hyper-network. rank: of the adapters' weights.
            adapter_units: width of the adapters' bottleneck.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2
        hyper_units: tuple[int, ...] = (64,)
        rank: int = 25
        adapter_units: int = 32

    def assemble(self, settings):
        """Make the backbone, the hyper-network and the adapters."""
        self.hyper = MLP(settings.hyper_units)
        self.hidden = [self.part("shared", MLP((width,), settings.dropout)) for width in settings.units]
        self.adapters = [
            HyperAdapter(self.n_domains, settings.adapter_units, settings.rank) for _ in settings.units
        ]
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Layer, adapter, layer, adapter, ..., logit."""
        x = flat(fields)
        z = self.hyper(x)
        for layer, adapter in zip(self.hidden, self.adapters, strict=True):
            x = adapter(layer(x, training=training), z, domain, training=training)
        return ops.squeeze(self.logit(x), 1)

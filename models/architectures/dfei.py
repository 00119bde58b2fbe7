"""DFEI: a shared and a specific tower, and the features of all domains."""

from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainTower
from models.layers.domain_experts import DomainExperts
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="DFEI, sections 3.2-3.3, Eq. 2-7, with `dfei`")
class DFEI(MultiDomainModel):
    """y_d = head_d([s, u, v_d, z]), s = f(e), u = f_d(e): f of all domains, f_d and head_d of one.

    The plug-in `dfei`, a part of it, makes v_d and z of u and e and holds their settings. Section 3.3 counts
    E, f, h_1, h_2 and h_3 as shared and all the rest as the domains' own, so each has a head.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: layers of f and of each f_d. head_units: hidden layers of each head.
            dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (128, 64, 32)
        head_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    built_in = ("dfei",)
    enrichable = True

    def assemble(self, settings):
        """Make the towers and the heads."""
        self.shared = self.part("shared", MLP(settings.units, settings.dropout))
        self.specific = DomainExperts(self.n_domains, 1, settings.units, settings.dropout)
        self.head = self.part("tower", DomainTower(self.n_domains, settings.head_units, settings.dropout))

    def logits(self, fields, domain, training):
        """Eq. 2, 3 and 7."""
        e = flat(fields)
        s = self.shared(e, training=training)
        u = ops.squeeze(self.specific(e, domain, training=training), 1)
        joined = self.enrich(ops.concatenate([s, u], axis=1), u, training)
        return self.head(joined, domain, training=training)

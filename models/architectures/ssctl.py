"""SSCTL: shared and specific experts, pseudo-domains for the dominant domain, scales for shared layers."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain_experts import DomainExperts
from models.layers.mlp import MLP, Experts
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="SSCTL (Luo et al., 2025), section 3.1, Eq. 1-2, with `isct` and `sddn`")
class SSCTL(MultiDomainModel):
    """y = t([sum_i w_i f_i(r_e), s^k]): shared experts f_i, and the domain's own expert s^k = g^k(r_e).

    r_e are the general and context fields, r_g the context fields and the domain, w = softmax(MLP(r_g)). Gate
    and tower are those of all domains; only g^k is a domain's own. `isct` and `sddn` are parts of it.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            n_experts: shared experts m. expert_units: layers of each expert.
            gate_units: hidden layers of the gate. tower_units: hidden layers of the tower.
            dropout: after every hidden layer.
        """

        n_experts: int = 4
        expert_units: tuple[int, ...] = (128, 64)
        gate_units: tuple[int, ...] = (32,)
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    built_in = ("isct", "sddn")
    enrichable = True
    represents_all = False  # the plug-ins are beside it

    def assemble(self, settings):
        """Make the experts, the gate and the tower."""
        units, dropout = settings.expert_units, settings.dropout
        self.shared = self.part("shared", Experts(settings.n_experts, units, dropout))
        self.specific = DomainExperts(self.n_domains, 1, units, dropout)
        self.gate = MLP(settings.gate_units)
        self.weights_of_experts = keras.layers.Dense(settings.n_experts, activation="softmax")
        self.tower = self.part("shared", MLP(settings.tower_units, dropout))
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Eq. 2."""
        return ops.squeeze(
            self.logit(self.tower(self.represent(fields, domain, training), training=training)), 1
        )

    def represent(self, fields, domain, training):
        """Return z."""
        r_e = flat(self.of_groups(fields, "general", "context"))
        r_g = flat(self.of_groups(fields, "context", "domain"))
        h = self.shared(r_e, training=training)
        s = ops.squeeze(self.specific(r_e, domain, training=training), 1)
        w = self.weights_of_experts(self.gate(r_g))
        return self.enrich(ops.concatenate([ops.einsum("be,bek->bk", w, h), s], axis=1), s, training)

"""Customized Gate Control: experts of all domains and experts of one."""

from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainDense, DomainTower
from models.layers.domain_experts import DomainExperts
from models.layers.mlp import Experts
from models.registry import register
from schema.base import Settings


@register(kind="multi-task", paper="Tang et al., RecSys 2020, section 4.1, Eq. 1-4")
class CGC(MultiDomainModel):
    """y_d = t_d(w_d(x) S_d(x)): S_d stacks the domain's own experts and the shared ones, w_d is its gate."""

    class Settings(Settings):
        """Widths.

        Attributes:
            n_domain_experts: experts of each domain. n_shared_experts: experts of all domains.
            expert_units: layers of an expert. tower_units: hidden layers of each tower.
            dropout: after every hidden layer.
        """

        n_domain_experts: int = 2
        n_shared_experts: int = 4
        expert_units: tuple[int, ...] = (128, 64)
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    enrichable = True

    def assemble(self, settings):
        """Make the experts, gates and towers."""
        units, dropout = settings.expert_units, settings.dropout
        self.specific = DomainExperts(self.n_domains, settings.n_domain_experts, units, dropout)
        self.shared = self.part("shared", Experts(settings.n_shared_experts, units, dropout))
        n_experts = settings.n_domain_experts + settings.n_shared_experts
        self.gate = self.part("gate", DomainDense(self.n_domains, n_experts, activation="softmax"))
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, dropout))

    def logits(self, fields, domain, training):
        """Eq. 1-4."""
        return self.tower(self.represent(fields, domain, training), domain, training=training)

    def represent(self, fields, domain, training):
        """Return w_d(x) S_d(x)."""
        x = flat(fields)
        own, shared = self.specific(x, domain, training=training), self.shared(x, training=training)
        experts = ops.concatenate([own, shared], axis=1)
        mixture = ops.einsum("be,bek->bk", self.gate(x, domain), experts)
        return self.enrich(mixture, ops.mean(own, axis=1), training)

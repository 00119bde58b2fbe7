"""Progressive Layered Extraction: levels of shared and domain-specific experts."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainDense, DomainTower
from models.layers.domain_experts import DomainExperts
from models.layers.mlp import Experts
from models.registry import register
from schema.base import Settings


@register(kind="multi-task", paper="Tang et al., RecSys 2020, section 4.2, Eq. 5-6")
class PLE(MultiDomainModel):
    """g_d,j = w_d,j(g_d,j-1) S_d,j, y_d = t_d(g_d,N): CGC level after level, a shared g_s,j running beside.

    S_d,j stacks the domain's experts over g_d,j-1 and the shared ones over g_s,j-1. In the paper g_s,j mixes
    the experts of all tasks, since each row has all tasks; a row is of one domain, so ours mixes S_d,j.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            n_domain_experts: experts of each domain on a level. n_shared_experts: experts of all domains.
            expert_units: width of the experts of each level; an expert is one layer, as in the paper.
            tower_units: hidden layers of each tower. dropout: after every hidden layer.
        """

        n_domain_experts: int = 2
        n_shared_experts: int = 4
        expert_units: tuple[int, ...] = (128, 64)
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    enrichable = True

    def assemble(self, settings):
        """Make the levels and the towers."""
        n_own, n_shared, dropout = settings.n_domain_experts, settings.n_shared_experts, settings.dropout
        self.specific, self.shared, self.gates, self.shared_gates = [], [], [], []
        for width in settings.expert_units:
            self.specific.append(DomainExperts(self.n_domains, n_own, (width,), dropout))
            self.shared.append(self.part("shared", Experts(n_shared, (width,), dropout)))
            gate = DomainDense(self.n_domains, n_own + n_shared, activation="softmax")
            self.gates.append(self.part("gate", gate))
        for _ in settings.expert_units[1:]:  # the last level has no shared output
            self.shared_gates.append(keras.layers.Dense(n_own + n_shared, activation="softmax"))
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, dropout))

    def logits(self, fields, domain, training):
        """Eq. 5-6."""
        return self.tower(self.represent(fields, domain, training), domain, training=training)

    def represent(self, fields, domain, training):
        """Return g_d,N."""
        own = shared = flat(fields)
        for level, gate in enumerate(self.gates):
            specific = self.specific[level](own, domain, training=training)
            experts = ops.concatenate([specific, self.shared[level](shared, training=training)], axis=1)
            own = ops.einsum("be,bek->bk", gate(own, domain), experts)
            if level < len(self.shared_gates):
                shared = ops.einsum("be,bek->bk", self.shared_gates[level](shared), experts)
        return self.enrich(own, ops.mean(specific, axis=1), training)

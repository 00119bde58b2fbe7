"""Multi-gate Mixture-of-Experts."""

from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainDense, DomainTower
from models.layers.mlp import Experts
from models.registry import register
from schema.base import Settings


@register(kind="multi-task", paper="Ma et al., KDD 2018, Eq. 6-7")
class MMoE(MultiDomainModel):
    """y_d = h_d(sum_i g_d(x)_i f_i(x)): shared experts f_i, a gate g_d and a tower h_d per domain."""

    class Settings(Settings):
        """Widths.

        Attributes:
            n_experts: number of experts. expert_units: layers of an expert.
            tower_units: hidden layers of each tower. dropout: after every hidden layer.
        """

        n_experts: int = 8
        expert_units: tuple[int, ...] = (128, 64)
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the experts, gates and towers."""
        experts = Experts(settings.n_experts, settings.expert_units, settings.dropout)
        self.experts = self.part("shared", experts)
        self.gate = self.part("gate", DomainDense(self.n_domains, settings.n_experts, activation="softmax"))
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, settings.dropout))

    def logits(self, fields, domain, training):
        """Eq. 6-7."""
        return self.tower(self.represent(fields, domain, training), domain, training=training)

    def represent(self, fields, domain, training):
        """Return sum_i g_d(x)_i f_i(x)."""
        x = flat(fields)
        experts = self.experts(x, training=training)
        gate = ops.expand_dims(self.gate(x, domain), 1)  # (batch, 1, experts)
        return ops.squeeze(ops.matmul(gate, experts), 1)

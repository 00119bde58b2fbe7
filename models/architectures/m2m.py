"""Multi-scenario multi-task Meta learning."""

from models.architectures.base import MultiDomainModel, flat
from models.layers.meta import MetaAttention, MetaTower
from models.layers.mlp import MLP, Experts
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Zhang et al., WSDM 2022, sections 4.2-4.3")
class M2M(MultiDomainModel):
    """y_d = tower_z(sum_i a_z,i E_i): experts E_i(x), attention a_z and tower generated from knowledge z.

    The paper makes z from the scenario and the advertiser; here z is made from the domain's embedding alone,
    so that weights are generated once per domain, not per row. Its transformer over behaviour sequences and
    its Poisson loss of several tasks have no counterpart.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            n_experts: number of experts. expert_units: layers of an expert; the last is the tower's width.
            knowledge_units: layers that make z. attention_units: width of the generated attention.
            n_tower_layers: number of generated layers of the tower. dropout: after every hidden layer.
        """

        n_experts: int = 4
        expert_units: tuple[int, ...] = (128, 64)
        knowledge_units: tuple[int, ...] = (32,)
        attention_units: int = 32
        n_tower_layers: int = 2
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the experts, the domain's knowledge and what is generated from it."""
        experts = Experts(settings.n_experts, settings.expert_units, settings.dropout)
        self.experts = self.part("shared", experts)
        self.knowledge = MLP(settings.knowledge_units)
        self.attention = self.part("gate", MetaAttention(self.n_domains, settings.attention_units))
        tower = MetaTower(self.n_domains, settings.n_tower_layers, settings.dropout)
        self.tower = self.part("tower", tower)

    def logits(self, fields, domain, training):
        """Experts, meta attention, meta tower."""
        z = self.knowledge(fields[:, -1])
        mixture = self.attention(self.experts(flat(fields), training=training), domain, z)
        return self.tower(mixture, domain, z, training=training)

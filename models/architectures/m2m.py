"""Multi-scenario multi-task Meta learning."""

from models.architectures.base import MultiDomainModel, flat
from models.layers.meta import MetaScenario
from models.layers.mlp import Experts
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
        """Make the experts, and what is generated from the domain's knowledge."""
        units, dropout = settings.expert_units, settings.dropout
        self.experts = self.part("shared", Experts(settings.n_experts, units, dropout))
        tower_units = units[-1:] * settings.n_tower_layers
        scenario = MetaScenario(
            self.n_domains, settings.knowledge_units, settings.attention_units, tower_units, dropout
        )
        self.scenario = self.part("scenario", scenario)

    def logits(self, fields, domain, training):
        """Experts, meta attention, meta tower."""
        experts = self.experts(flat(fields), training=training)
        return self.scenario(experts, domain, fields[:, -1], training=training)

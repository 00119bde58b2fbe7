"""Scenario-Aware Ranking Network."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainDense
from models.layers.domain_experts import DomainExperts
from models.layers.mlp import MLP, Experts
from models.layers.partitioned_norm import DomainScale
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Shen et al., CIKM 2021, sections 3.2-3.4")
class SARNet(MultiDomainModel):
    """y_d = v^T sum_i g_d,i(x) f_i(x), x = [a_1 e_1, ..., s] * beta_d + gamma_d, a_i = A([e_i, s, e_i * s]).

    s is the domain's embedding, v one for all experts, and f_i are the domain's own experts and shared ones.
    The paper attends with s and with the item to a user's behaviours; a sequence is one field here, so s
    attends to the fields. Its fairness coefficient needs a record of manual interventions, which logs do not
    hold: every row weighs the same.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            attention_units: hidden layers of the attention A. n_domain_experts: experts of each domain.
            n_shared_experts: experts of all domains. expert_units: layers of an expert.
            dropout: after every hidden layer.
        """

        attention_units: tuple[int, ...] = (32,)
        n_domain_experts: int = 2
        n_shared_experts: int = 4
        expert_units: tuple[int, ...] = (128, 64)
        dropout: float = 0.2

    enrichable = True

    def assemble(self, settings):
        """Make the attention, the transform, the experts and their gate."""
        units, dropout = settings.expert_units, settings.dropout
        self.attention = MLP(settings.attention_units)
        self.attention_score = keras.layers.Dense(1, activation="sigmoid")
        self.transform = DomainScale(self.n_domains)
        self.specific = DomainExperts(self.n_domains, settings.n_domain_experts, units, dropout)
        self.shared = self.part("shared", Experts(settings.n_shared_experts, units, dropout))
        n_experts = settings.n_domain_experts + settings.n_shared_experts
        self.gate = self.part("gate", DomainDense(self.n_domains, n_experts, activation="softmax"))
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Attend to the fields, transform them, mix the experts."""
        e = self.of_groups(fields, "general", "context")
        s = ops.broadcast_to(fields[:, -1:], ops.shape(e))
        a = self.attention_score(self.attention(ops.concatenate([e, s, e * s], axis=2)))
        x = self.transform(ops.concatenate([flat(a * e), fields[:, -1]], axis=1), domain)
        own, shared = self.specific(x, domain, training=training), self.shared(x, training=training)
        own, shared = self.fuse(own, shared)
        experts = ops.concatenate([own, shared], axis=1)
        mixture = ops.einsum("be,bek->bk", self.gate(x, domain), experts)
        return ops.squeeze(self.logit(self.enrich(mixture, ops.mean(own, axis=1), training)), 1)

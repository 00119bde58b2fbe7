"""Hierarchical information extraction Network."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainScores, DomainTower
from models.layers.mlp import Experts
from models.layers.sub_experts import DomainSubExperts, SubExpertIntegration
from models.registry import register
from schema.base import Settings

OWN = 1e4  # taken from the score of the row's own domain: no weight is left, even in half precision


@register(kind="multi-domain", paper="Zhou et al., ICDE 2023, section III")
class HiNet(MultiDomainModel):
    """y_d = t_d(sum_k g_k(C) E_k(C)), C = [G(x), S_d(x), sum_j!=d a_j S_j(x)], a = softmax_j!=d(W e_d).

    The scenario layer has a shared expert G, an expert S_j of each domain and the attention a to the other
    domains, which knows the domain's embedding e_d. The task layer's experts of all tasks and of one task are
    the same, as there is one task: a mixture of experts E_k of all domains, and a tower t_d. Computes all
    domains: every row goes through all S_j, so the sub-experts are few and narrow.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            n_sub_experts: sub-experts of the shared expert and of each domain's.
            sub_expert_units: layers of a sub-expert.
            n_task_experts: experts of the task layer. task_expert_units: layers of each.
            tower_units: hidden layers of each tower. dropout: after every hidden layer.
        """

        n_sub_experts: int = 2
        sub_expert_units: tuple[int, ...] = (64, 32)
        n_task_experts: int = 4
        task_expert_units: tuple[int, ...] = (64,)
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    enrichable = True
    scalable = False

    def assemble(self, settings):
        """Make the experts of both layers, the attention and the towers."""
        n_sub, units, dropout = settings.n_sub_experts, settings.sub_expert_units, settings.dropout
        self.common = self.part("shared", SubExpertIntegration(1, n_sub, units, dropout))
        self.specific = DomainSubExperts(self.n_domains, n_sub, units, dropout)
        self.attention = DomainScores(self.n_domains, use_bias=False)
        n_experts = settings.n_task_experts
        self.experts = self.part("shared", Experts(n_experts, settings.task_expert_units, dropout))
        self.gate = self.part("gate", keras.layers.Dense(n_experts, use_bias=False, activation="softmax"))
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, dropout))

    def logits(self, fields, domain, training):
        """The scenario layer, the task layer."""
        x = flat(fields)
        common = ops.squeeze(self.common(x, training=training), 1)
        each = self.specific(x, training=training)
        own = ops.one_hot(domain, self.n_domains, dtype=each.dtype)
        others = ops.softmax(self.attention(fields[:, -1]) - OWN * own)
        mixtures = ops.einsum("bwd,bdu->bwu", ops.stack([own, others], axis=1), each)
        c = ops.concatenate([common, mixtures[:, 0], mixtures[:, 1]], axis=1)
        mixture = ops.einsum("be,bek->bk", self.gate(c), self.experts(c, training=training))
        return self.tower(self.enrich(mixture, mixtures[:, 0], training), domain, training=training)

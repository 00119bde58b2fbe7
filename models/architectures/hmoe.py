"""Hybrid of implicit and explicit Mixture-of-Experts: the domains' towers meet in the label space."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.all_domains import AllDomainTowers
from models.layers.domain import DomainScores
from models.layers.mlp import Experts
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Li et al., CIKM 2020, sections 3.2-3.4")
class HMoE(MultiDomainModel):
    """y_d = sum_j a_j(x) s_j, s_j = h_j(sum_i g_i(x) f_i(x)): experts f_i, towers h_j, gates g and a.

    A row moves the tower of its own domain only: the gradient stops at s_j for j != d. x holds the domain's
    embedding, so the label-space gate a, one for all domains, knows d; the scores are logits. Computes all
    domains: every row goes through all towers.
    """

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
        self.gate = self.part("gate", keras.layers.Dense(settings.n_experts, activation="softmax"))
        self.label_gate = DomainScores(self.n_domains, activation="softmax")
        self.tower = AllDomainTowers(self.n_domains, settings.tower_units, settings.dropout)

    def logits(self, fields, domain, training):
        """Mix the experts, then the towers' scores."""
        x = flat(fields)
        mixture = ops.einsum("be,bek->bk", self.gate(x), self.experts(x, training=training))
        scores = self.tower(mixture, domain, training=training)
        return ops.sum(self.label_gate(x) * scores, axis=1)

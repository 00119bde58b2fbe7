"""Adaptive Information Transfer, from what all domains share to each domain."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainTower
from models.layers.domain_experts import DomainExperts
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="multi-task", paper="Xi et al., KDD 2021, section 4, Eq. 3-7")
class AITM(MultiDomainModel):
    """y_d = h_d(z_d), z_d = sum_u w_u h_1(u) over u in {p, q_d}, w_u = softmax(<h_2(u), h_3(u)> / sqrt(k)).

    The paper transfers p from one step of a conversion to the next. Domains have no order, so p = g(f_s(x))
    comes from a network f_s of all domains here and goes to q_d = f_d(x), the network of the row's domain; g,
    h_1, h_2, h_3 are shared, and the calibrator, which orders the steps' probabilities, has no counterpart.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: layers of f_s and of each f_d; the last one is k. tower_units: hidden layers of each tower.
            dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (128, 64)
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    enrichable = True

    def assemble(self, settings):
        """Make the networks, the transfer and the towers."""
        k = settings.units[-1]
        self.shared = self.part("shared", MLP(settings.units, settings.dropout))
        self.specific = DomainExperts(self.n_domains, 1, settings.units, settings.dropout)
        self.transfer = keras.layers.Dense(k, activation="relu")
        self.value, self.key, self.query = (keras.layers.Dense(k) for _ in range(3))
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, settings.dropout))

    def logits(self, fields, domain, training):
        """Eq. 3-7."""
        x = flat(fields)
        p = ops.expand_dims(self.transfer(self.shared(x, training=training)), 1)
        q = self.specific(x, domain, training=training)
        u = ops.concatenate([p, q], axis=1)  # (batch, 2, k)
        scores = ops.sum(self.key(u) * self.query(u), axis=2) / u.shape[-1] ** 0.5
        z = ops.einsum("bu,buk->bk", ops.softmax(scores), self.value(u))
        return self.tower(self.enrich(z, q[:, 0], training), domain, training=training)

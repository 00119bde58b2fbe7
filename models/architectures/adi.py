"""Adaptive Domain Interest network."""

from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainDense, DomainTower
from models.layers.interest import InterestNetworks
from models.layers.mlp import MLP
from models.layers.partitioned_norm import PartitionedNorm
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Jiang et al., CIKM 2022, sections 3.2-3.4")
class ADI(MultiDomainModel):
    """y_d = h_d([b_1 * E_d, b_1 * E_d * b_2 * E_s, b_2 * E_s]): networks E_d of the domain and E_s of all.

    Both read the fields e_i scaled by a_d = sigmoid(FC_d(relu(FC_d(mean of each e_i)))), the domain interest
    adaptation layer, and normalised by domain; b = sigmoid(W s), s being the domain's embedding. The paper's
    two towers with an inner product are one network with a logit here, the sigmoid of a_d is that of SE-Net,
    and the self-training on pseudo labels is no part of the architecture.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: layers of E_s and of each E_d. adaptation_units: hidden width of the adaptation layer.
            tower_units: hidden layers of each h_d. dropout: after every hidden layer.
        """

        units: tuple[int, ...] = (128, 64)
        adaptation_units: int = 8
        tower_units: tuple[int, ...] = (32,)
        dropout: float = 0.2

    enrichable = True

    def assemble(self, settings):
        """Make the adaptation layer, the networks and the towers."""
        n_fields = max(sum(field.group != "domain" for field in self.spec.fields), 1)
        self.squeeze = DomainDense(self.n_domains, settings.adaptation_units, activation="relu")
        self.excite = DomainDense(self.n_domains, n_fields, activation="sigmoid")
        self.norm = PartitionedNorm(self.n_domains)
        shared = self.part("shared", MLP(settings.units, settings.dropout))
        networks = InterestNetworks(self.n_domains, shared, settings.units, settings.dropout)
        self.scenario = self.part("scenario", networks)
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, settings.dropout))

    def logits(self, fields, domain, training):
        """Adapt and normalise the fields, join the two networks."""
        e = self.of_groups(fields, "general", "context")
        scale = self.excite(self.squeeze(ops.mean(e, axis=2), domain), domain)
        x = self.norm(flat(e * ops.expand_dims(scale, 2)), domain, training=training)
        hidden = self.scenario(x, domain, fields[:, -1], training=training)
        own = hidden[:, : self.scenario.own_units]
        return self.tower(self.enrich(hidden, own, training), domain, training=training)

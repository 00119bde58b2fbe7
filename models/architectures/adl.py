"""Adaptive Distribution Learning: networks of clusters instead of domains."""

from keras import ops
from pydantic import Field

from models.architectures.base import MultiDomainModel, flat
from models.layers.clusters import ClusterRouter
from models.layers.star import ClusterTower
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Li et al., SIGIR 2023")
class ADL(MultiDomainModel):
    """y = h_c(x), c = argmax_j r_j(x): rows are routed to clusters by embeddings, each with a network h_c.

    A cluster's weights are W * W_c and b + b_c, as in STAR. The domain is one of the embeddings that are
    routed and read; no weights are of one domain, so the cost does not depend on their number.
    """

    class Settings(Settings):
        """Widths and routing.

        Attributes:
            n_clusters: number of clusters. units: hidden layers of each network. dropout: after every one.
            n_rounds, decay, temperature: of the routing, see `ClusterRouter`.
        """

        n_clusters: int = Field(3, ge=1)
        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2
        n_rounds: int = Field(3, ge=1)
        decay: float = Field(0.9, ge=0, lt=1)
        temperature: float = Field(0.02, gt=0)

    scalable = False

    def assemble(self, settings):
        """Make the router and the networks."""
        self.router = ClusterRouter(
            settings.n_clusters, settings.n_rounds, settings.decay, settings.temperature
        )
        self.networks = ClusterTower(settings.n_clusters, settings.units, settings.dropout)

    def logits(self, fields, domain, training):
        """Route, then the cluster's network."""
        x = flat(fields)
        cluster = ops.argmax(self.router(x, training=training), axis=1)
        return self.networks(x, ops.cast(cluster, "int32"), training=training)

"""Shared-Bottom: one network for all domains, a tower for each."""

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainTower
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="multi-task", paper="Caruana, Machine Learning 1997; as in MMoE (Ma et al., KDD 2018), Eq. 1")
class SharedBottom(MultiDomainModel):
    """y_d = h_d(f(x)): a shared bottom f, and a tower h_d of the row's domain."""

    class Settings(Settings):
        """Widths.

        Attributes:
            bottom_units: layers of the shared bottom. tower_units: hidden layers of each tower.
            dropout: after every hidden layer.
        """

        bottom_units: tuple[int, ...] = (256, 128)
        tower_units: tuple[int, ...] = (64,)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the bottom and the towers."""
        self.bottom = self.part("shared", MLP(settings.bottom_units, settings.dropout))
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.tower_units, settings.dropout))

    def logits(self, fields, domain, training):
        """Eq. 1."""
        return self.tower(self.represent(fields, domain, training), domain, training=training)

    def represent(self, fields, domain, training):
        """Return f(x)."""
        return self.bottom(flat(fields), training=training)

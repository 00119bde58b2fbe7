"""Isolated: a model of its own for every domain."""

from models.architectures.base import MultiDomainModel, flat
from models.layers.domain import DomainTower
from models.layers.embedding import FieldEmbedding
from models.registry import register
from schema.base import Settings


@register(kind="single-domain", paper='"Isolated" of AREAD (AAAI 2025, section 3.1) and "Single" of SSCTL')
class Isolated(MultiDomainModel):
    """y_d = f_d(x_d): embeddings and an MLP of each domain, of which no other domain reads anything.

    All domains begin alike, and are trained and served as one model. Its size is that of one model times
    the number of domains, its work that of one model. The unknown domain learns from hidden rows.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers of each domain's MLP. dropout: after each of them.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    def make_embedding(self, dim, l2):
        """Return embeddings of each domain's own."""
        return FieldEmbedding(self.spec, dim, l2, copies=self.n_domains)

    scalable = False

    def assemble(self, settings):
        """Make the MLPs."""
        self.tower = self.part("tower", DomainTower(self.n_domains, settings.units, settings.dropout))

    def logits(self, fields, domain, training):
        """The MLP of each row's domain over that domain's embeddings."""
        return self.tower(flat(fields), domain, training=training)

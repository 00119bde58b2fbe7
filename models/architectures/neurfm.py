"""Neural factorization machine (NFM, NeurFM)."""

import keras
from keras import ops

from models.architectures.base import MultiDomainModel
from models.layers.interactions import bi_interaction
from models.layers.mlp import MLP
from models.registry import register
from schema.base import Settings


@register(kind="single-domain", paper="He & Chua, SIGIR 2017, Eq. 3-7")
class NeurFM(MultiDomainModel):
    """y = w_0 + sum_i w_i x_i + h . z_L(f_BI), with f_BI = sum_{i<j} v_i * v_j; the domain is one more field.

    Dropout also acts on f_BI, as in the paper; its batch normalisation, an option there, is left out, since
    the statistics would mix the domains.
    """

    class Settings(Settings):
        """Widths.

        Attributes:
            units: hidden layers above f_BI. dropout: of f_BI and after each hidden layer.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2

    def assemble(self, settings):
        """Make the linear term and the hidden layers; w_0 is the bias of the last one."""
        self.add_linear_term()
        self.drop = keras.layers.Dropout(settings.dropout)
        self.deep = self.part("shared", MLP(settings.units, settings.dropout))
        self.out = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Eq. 7 without the linear term, which the base adds."""
        pooled = self.drop(bi_interaction(fields), training=training)
        return ops.squeeze(self.out(self.deep(pooled, training=training)), 1)

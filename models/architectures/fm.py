"""Factorization machine of degree 2."""

from keras import ops

from models.architectures.base import MultiDomainModel
from models.layers.interactions import bi_interaction
from models.registry import register


@register(kind="single-domain", paper="Rendle, ICDM 2010, Eq. 1 and Lemma 3.1")
class FM(MultiDomainModel):
    """y = w_0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j, the domain being one more field.

    The values of a sequence count as one field, their mean, and so do not interact with each other.
    """

    scalable = False

    def assemble(self, settings):
        """Make w_0 and w_i; the v_i are the fields' embeddings."""
        self.add_linear_term()
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")

    def logits(self, fields, domain, training):
        """Eq. 1 without the linear term, which the base adds."""
        return ops.cast(self.bias, fields.dtype) + ops.sum(bi_interaction(fields), axis=1)

"""DeepFM: a factorization machine beside a deep network."""

from keras import ops

from models.architectures.wide_deep import WideDeep
from models.layers.interactions import bi_interaction
from models.registry import register


@register(kind="single-domain", paper="Guo et al., IJCAI 2017, Eq. 1-4")
class DeepFM(WideDeep):
    """y = y_FM + y_DNN over the same embeddings, the domain being one more field.

    y_FM = sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j, in which a sequence is one field, its values' mean;
    its linear part and y_DNN together are `wide_deep`.
    """

    def logits(self, fields, domain, training):
        """Eq. 1 without the linear term, which the base adds."""
        return super().logits(fields, domain, training) + ops.sum(bi_interaction(fields), axis=1)

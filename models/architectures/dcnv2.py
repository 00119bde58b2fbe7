"""Deep & Cross Network, version 2."""

from keras_rs.layers import FeatureCross

from models.architectures.dcn import DCN
from models.registry import register


@register(kind="single-domain", paper="Wang et al., WWW 2021, Eq. 1, parallel structure of section 3.4")
class DCNv2(DCN):
    """`dcn` with a matrix in each cross: x_{l+1} = x_0 * (W_l x_l + b_l) + x_l.

    Of the paper's two structures, crosses below or beside the deep part, this is the second one.
    """

    cross = FeatureCross

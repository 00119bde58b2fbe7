"""The star topology: weights of all domains times weights of one."""

import keras
from keras import ops

from models.backend.rows import move_by_row, take_rows
from models.layers import domain as domain_layers
from models.layers.domain import DomainDense, DomainTower
from models.layers.routing import DomainBlocks


@keras.saving.register_keras_serializable("mdr")
class StarDense(DomainDense):
    """activation(x (W * W_d) + b + b_d), W and b of all domains, * element by element.

    W_d begins at one, so that all domains begin at the shared weights. Source: STAR (Sheng et al., CIKM 2021,
    Eq. 5-6).

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of the output.
        activation: name of a Keras activation.
    """

    def build(self, x_shape, domain_shape=None):
        shape = (x_shape[-1], self.units)
        self.shared_kernel = self.add_weight(name="shared_kernel", shape=shape, initializer="glorot_uniform")
        self.shared_bias = self.add_weight(name="shared_bias", shape=shape[1:], initializer="zeros")
        self.kernel = self.add_weight(name="kernel", shape=(self.n_domains, *shape), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(self.n_domains, self.units), initializer="zeros")
        move_by_row(self.kernel, self.bias)
        self.built = True

    def call(self, x, domain):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, units)`."""
        blocks = DomainBlocks(domain, self.n_domains, domain_layers.BLOCK_ROWS)
        kernel = ops.cast(take_rows(self.kernel, blocks.domain), x.dtype)
        kernel *= ops.cast(self.shared_kernel, x.dtype)
        bias = ops.cast(take_rows(self.bias, domain), x.dtype) + ops.cast(self.shared_bias, x.dtype)
        return self.activation(blocks.ungroup(ops.matmul(blocks.group(x), kernel)) + bias)


@keras.saving.register_keras_serializable("mdr")
class StarTower(DomainTower):
    """The star network of each row's domain: `DomainTower` with `StarDense` layers."""

    dense = StarDense

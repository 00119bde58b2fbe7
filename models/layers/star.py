"""The star topology: weights of all domains times weights of one."""

import keras
from keras import ops

from models.backend.rows import by_domain, move_by_row, take_rows
from models.layers import domain as domain_layers
from models.layers.domain import DomainDense, DomainTower
from models.layers.routing import DomainBlocks
from models.layers.transformation import HALVES


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

    start = 1.0  # of W_d

    def build(self, x_shape, domain_shape=None):
        shape, start = (x_shape[-1], self.units), keras.initializers.Constant(self.start)
        self.shared_kernel = self.add_weight(name="shared_kernel", shape=shape, initializer="glorot_uniform")
        self.shared_bias = self.add_weight(name="shared_bias", shape=shape[1:], initializer="zeros")
        self.kernel = self.add_weight(name="kernel", shape=(self.n_domains, *shape), initializer=start)
        self.bias = self.add_weight(name="bias", shape=(self.n_domains, self.units), initializer="zeros")
        move_by_row(self.kernel, self.bias)
        if self.of_domains:
            by_domain(self.kernel, self.bias)
        self.built = True

    def call(self, x, domain):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, units)`."""
        product, own, shared = self.parts(x, domain)
        return self.activation(product + own + shared)

    def parts(self, x, domain):
        """Return x (W * W_d) and b_d of each row, `(batch, units)` both, and b `(units,)`."""
        blocks = DomainBlocks(domain, self.n_domains, domain_layers.BLOCK_ROWS)
        kernel = ops.cast(take_rows(self.kernel, blocks.domain), x.dtype)
        kernel *= ops.cast(self.shared_kernel, x.dtype)
        product = blocks.ungroup(ops.matmul(blocks.group(x), kernel))
        own = ops.cast(take_rows(self.bias, domain), x.dtype)
        return product, own, ops.cast(self.shared_bias, x.dtype)


@keras.saving.register_keras_serializable("mdr")
class StarTower(DomainTower):
    """The star network of each row's domain: `DomainTower` with `StarDense` layers."""

    dense = StarDense


@keras.saving.register_keras_serializable("mdr")
class ClusterDense(StarDense):
    """`StarDense` with weights for each cluster in the place of a domain."""

    of_domains = False


@keras.saving.register_keras_serializable("mdr")
class ClusterTower(StarTower):
    """The star network of each row's cluster: `ClusterDense` layers."""

    dense = ClusterDense


@keras.saving.register_keras_serializable("mdr")
class FusedStarDense(StarDense):
    """activation(x ((g_sp W_d) * (g_sh W)) + g_sp b_d + g_sh b), with weights g of each row's own.

    Both weights begin at 1/2, and so W_d at 4, that the layer begins as `StarDense` does. Source: D3, Eq. 13,
    for the star topology; see `StarDense` for the arguments.
    """

    start = HALVES

    def call(self, x, domain, gates):
        """Map `(batch, width)`, indices `(batch,)` and g `(batch, 2)` to `(batch, units)`."""
        product, own, shared = self.parts(x, domain)
        g_sp, g_sh = ops.split(gates, 2, axis=1)
        return self.activation(g_sp * g_sh * product + g_sp * own + g_sh * shared)


@keras.saving.register_keras_serializable("mdr")
class FusedStarTower(StarTower):
    """The star network of each row's domain with the weights g of the row: `FusedStarDense` layers."""

    dense = FusedStarDense

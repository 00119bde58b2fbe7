"""How much a row's loss weighs, by how complex and how specific its domain is (D3)."""

import keras
from keras import ops

ROUNDING = 1e-5  # a smaller deviation of entropies, which are of the order of one, is none


@keras.saving.register_keras_serializable("mdr")
class DomainBalance(keras.layers.Layer):
    """w = w_cpl * w_spf once the weights are on, and 1 until then (D3, Eq. 15-19).

    Eq. 15 lacks the minus sign of an entropy, which its text speaks of. Where all rows of a batch have the
    same entropy, one row alone or a model of one field among them, c' is 1/2, the middle of Eq. 16.

    The weights are constants to the gradient: otherwise a model could lower its loss by lowering its weights.
    Whether they are on is state of the model, saved and restored with it.

    Args:
        shift: lambda of both weights. scale: alpha of both weights.
        lower, upper: l and u, between which c' is clipped.
    """

    def __init__(
        self, shift: float = 0.5, scale: float = 1.0, lower: float = 0.1, upper: float = 1.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.shift = shift
        self.scale = scale
        self.lower = lower
        self.upper = upper

    def build(self, complexity_shape=None, specificity_shape=None):
        state = {"initializer": "zeros", "trainable": False, "autocast": False, "dtype": "float32"}
        self.on = self.add_weight(name="on", shape=(), **state)
        self.built = True

    def complexity(self, attention):
        """Return w_cpl `(batch,)` of attentions A `(batch, n, n)` (Eq. 15-17)."""
        a = ops.stop_gradient(ops.cast(attention, "float32"))
        entropy = -ops.sum(a * ops.log(ops.maximum(a, 1e-30)), axis=(1, 2)) / a.shape[1]
        deviation = ops.std(entropy)
        sound = deviation > ROUNDING
        spread = (entropy - ops.mean(entropy)) / (2 * ops.where(sound, deviation, 1.0))
        c = ops.where(sound, spread, 0.0) + 0.5
        return self.shift + self.scale * ops.clip(c, self.lower, self.upper)

    def specificity(self, gates):
        """Return w_spf `(batch,)` of g `(batch, 2)` (Eq. 18)."""
        return self.shift + self.scale * ops.stop_gradient(ops.cast(gates[:, 0], "float32"))

    def call(self, *weights):
        """Return what the rows' losses are multiplied by (Eq. 19): weights `(batch,)` each to `(batch,)`."""
        product = 1.0
        for weight in weights:
            product = product * weight
        return ops.where(self.on > 0, product, 1.0)

    def compute_output_shape(self, weights_shape):
        return weights_shape

    def get_config(self):
        config = {"shift": self.shift, "scale": self.scale, "lower": self.lower, "upper": self.upper}
        return {**super().get_config(), **config}

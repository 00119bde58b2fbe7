"""Pruning of a layer's units by domain."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class DomainPruner(keras.layers.Layer):
    """x * pi, with factors pi from the domain's features e and from x: v = W [e, x], s = sigmoid(alpha v).

    | factors | pi | |
    | --- | --- | --- |
    | scaling | beta sigmoid(v) | no unit is pruned |
    | binarization | s where s > epsilon, else 0 | nears 0 or 1 as alpha grows |
    | fusion | beta s where s > epsilon, else 0 | |

    alpha grows at every training step and is saved. The share of a row that is pruned, r = 1 - mean(s), is
    held within bounds by a loss: `penalty` times |r - (least + most) / 2|, 0 for rows within, averaged over
    rows; there is none for scaling. Source: AdaSparse (Yang et al., CIKM 2022, section 2), whose penalty
    grows in training and is fixed here.

    Args:
        factors: `scaling`, `binarization` or `fusion`.
        beta: largest factor of scaling and fusion.
        epsilon: threshold of s.
        alpha: slope at first. alpha_step: its growth per training step. alpha_limit: its largest value.
        least, most: bounds of r.
        penalty: weight of the loss.
    """

    def __init__(
        self,
        factors: str = "fusion",
        beta: float = 2.0,
        epsilon: float = 0.25,
        alpha: float = 1.0,
        alpha_step: float = 1e-4,
        alpha_limit: float = 5.0,
        least: float = 0.15,
        most: float = 0.25,
        penalty: float = 0.01,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.factors = factors
        self.beta = beta
        self.epsilon = epsilon
        self.alpha = alpha
        self.alpha_step = alpha_step
        self.alpha_limit = alpha_limit
        self.least = least
        self.most = most
        self.penalty = penalty

    def build(self, x_shape, domain_features_shape):
        shape = (domain_features_shape[-1] + x_shape[-1], x_shape[-1])
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_uniform")
        self.slope = None
        if self.factors != "scaling":
            start = keras.initializers.Constant(self.alpha)
            self.slope = self.add_weight(
                name="slope", shape=(), initializer=start, trainable=False, autocast=False
            )
        self.built = True

    def call(self, x, domain_features, training=False):
        """Scale x `(batch, width)` given e `(batch, known)`."""
        v = ops.matmul(ops.concatenate([domain_features, x], axis=1), ops.cast(self.kernel, x.dtype))
        if self.slope is None:
            return x * (self.beta * ops.sigmoid(v))
        s = ops.sigmoid(ops.cast(self.slope, x.dtype) * v)
        s *= ops.cast(s > self.epsilon, x.dtype)
        if training:
            self.slope.assign(ops.minimum(self.slope + self.alpha_step, self.alpha_limit))
            self.add_loss(self._loss(s))
        return x * (s if self.factors == "binarization" else self.beta * s)

    def _loss(self, s):
        """Return the loss of shares outside of the bounds, for s `(batch, width)`."""
        pruned = 1 - ops.mean(ops.cast(s, "float32"), axis=1)
        outside = ops.logical_or(pruned < self.least, pruned > self.most)
        distance = ops.abs(pruned - (self.least + self.most) / 2)
        return self.penalty * ops.mean(ops.where(outside, distance, 0.0))

    def compute_output_shape(self, x_shape, domain_features_shape):
        return x_shape

    def get_config(self):
        names = "factors", "beta", "epsilon", "alpha", "alpha_step", "alpha_limit", "least", "most", "penalty"
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

"""How much a pseudo-labelled row counts, by the confidence of its label (SSCTL)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class ConfidenceWeights(keras.layers.Layer):
    """w = exp(-(c - mu)^2 / (2 sigma^2)) for c <= mu, else 1: a truncated Gaussian (SSCTL, Eq. 4).

    mu and sigma^2 are running means of the confidences' mean and variance over the batches of a training, as
    in SoftMatch (Chen et al., ICLR 2023), whence they begin at 1/N and 1; they are part of the model's state.

    Args:
        classes: N, domains that a label may name.
        momentum: share that a running mean keeps.
        n_sigma: sigma is divided by it; 1 in SSCTL, 2 in SoftMatch.
    """

    def __init__(self, classes: int, momentum: float = 0.999, n_sigma: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.momentum = momentum
        self.n_sigma = n_sigma

    def build(self, confidence_shape=None, pseudo_shape=None):
        for name, start in (("mu", 1 / self.classes), ("variance", 1.0)):
            initializer = keras.initializers.Constant(start)
            setattr(
                self, name, self.add_weight(name=name, shape=(), initializer=initializer, trainable=False)
            )
        self.built = True

    def call(self, confidence, pseudo, training=False):
        """Return each row's weight.

        Args:
            confidence: c of each row, `(batch,)`. pseudo: which rows have a pseudo-label, bool `(batch,)`.
            training: whether the running means follow the batch; one without such rows leaves them.

        Returns:
            `(batch,)`; 1 for rows without a pseudo-label.
        """
        confidence = ops.cast(confidence, "float32")
        if training:
            self._follow(confidence, ops.cast(pseudo, "float32"))
        mu, variance = self.mu, self.variance / self.n_sigma**2
        below = ops.exp(-ops.square(ops.minimum(confidence - mu, 0.0)) / (2 * ops.maximum(variance, 1e-12)))
        return ops.where(pseudo, below, 1.0)

    def _follow(self, confidence, pseudo):
        count = ops.sum(pseudo)
        # A row without a pseudo-label may have any confidence, NaN among them.
        confidence = ops.where(pseudo > 0, confidence, 0.0)
        mean = ops.sum(confidence) / ops.maximum(count, 1.0)
        spread = ops.sum(pseudo * ops.square(confidence - mean)) / ops.maximum(count, 1.0)
        for state, value in ((self.mu, mean), (self.variance, spread)):
            before = state.value  # JAX compiles `where` with a variable's old value
            moved = self.momentum * before + (1 - self.momentum) * value
            state.assign(ops.where(count > 0, moved, before))

    def compute_output_shape(self, confidence_shape, pseudo_shape=None):
        return confidence_shape

    def get_config(self):
        config = {"classes": self.classes, "momentum": self.momentum, "n_sigma": self.n_sigma}
        return {**super().get_config(), **config}

"""Soft assignment of rows to clusters whose centres follow the data."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("mdr")
class ClusterRouter(keras.layers.Layer):
    """Coefficients r_ij = softmax_j(x_i . c_j / temperature) of rows x_i and centres c_j, all of unit length.

    In training the centres move first: from c' = c, some rounds of r and then c'_j = sum_i r_ij x_i; at last
    c_j <- decay c_j + (1 - decay) c'_j. They are state, saved and without gradient, and rest at inference.
    Source: the dynamic routing of ADL (Li et al., SIGIR 2023). The unit length of rows and the temperature
    are ours: embeddings begin near 0, where all coefficients are equal and all centres become one.

    Args:
        n_clusters: number of centres.
        n_rounds: rounds of routing per training step.
        decay: weight of the old centres.
        temperature: how soft the coefficients are.
    """

    def __init__(
        self,
        n_clusters: int,
        n_rounds: int = 3,
        decay: float = 0.9,
        temperature: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.n_clusters = n_clusters
        self.n_rounds = n_rounds
        self.decay = decay
        self.temperature = temperature

    def build(self, input_shape):
        self.centres = self.add_weight(
            name="centres",
            shape=(self.n_clusters, input_shape[-1]),
            initializer=_waves,
            trainable=False,
            autocast=False,
        )
        self.built = True

    def call(self, x, training=False):
        """Map `(batch, width)` to coefficients `(batch, n_clusters)`."""
        x = ops.normalize(ops.cast(ops.stop_gradient(x), self.centres.dtype), axis=1)
        centres = ops.convert_to_tensor(self.centres)
        if training:
            drawn = centres
            for _ in range(self.n_rounds):
                weights = self._coefficients(x, drawn)
                drawn = ops.normalize(ops.matmul(ops.transpose(weights), x), axis=1)
            centres = ops.normalize(self.decay * centres + (1 - self.decay) * drawn, axis=1)
            self.centres.assign(centres)
        return self._coefficients(x, centres)

    def _coefficients(self, x, centres):
        return ops.softmax(ops.matmul(x, ops.transpose(centres)) / self.temperature)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n_clusters)

    def get_config(self):
        config = {"n_clusters": self.n_clusters, "n_rounds": self.n_rounds}
        return {**super().get_config(), **config, "decay": self.decay, "temperature": self.temperature}


def _waves(shape, dtype=None):
    """Return the rows of a cosine transform: at right angles, and the same on every backend."""
    rows, columns = (ops.arange(size, dtype=dtype) + 0.5 for size in shape)
    return ops.normalize(ops.cos(math.pi / shape[1] * ops.outer(rows, columns)), axis=1)

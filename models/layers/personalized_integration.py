"""What a row takes from the features of all domains (DFEI)."""

import keras
from keras import ops

ABSENT = 1e4  # taken from the score of a feature that is not there: no weight is left, even in half precision


@keras.saving.register_keras_serializable("mdr")
class PersonalizedIntegration(keras.layers.Layer):
    """z = sum_d w_d h_1(v_d), w = softmax_d(<h_2(e), h_3(v_d)> / sqrt(k)) (DFEI, Eq. 5-6).

    h_1, h_2 and h_3 are linear. h_3 has no bias: it would add the same to all scores of a row, which softmax
    takes out again.

    Args:
        k: width of h_1, h_2 and h_3.
    """

    def __init__(self, k: int = 32, **kwargs):
        super().__init__(**kwargs)
        self.k = k
        self.h_1 = keras.layers.Dense(k)
        self.h_2 = keras.layers.Dense(k)
        self.h_3 = keras.layers.Dense(k, use_bias=False)

    def build(self, e_shape, v_shape, seen_shape=None):
        self.h_1.build(v_shape)
        self.h_2.build(e_shape)
        self.h_3.build(v_shape)
        self.built = True

    def call(self, e, v, seen):
        """Return z, zeros where no domain has a feature.

        Args:
            e: the rows' embeddings, `(batch, width of e)`. v: the domains' features, `(n_domains, width)`.
            seen: which of them are there, 1 or 0, `(n_domains,)`; the others are left out of the sum.

        Returns:
            `(batch, k)`.
        """
        scores = ops.matmul(self.h_2(e), ops.transpose(self.h_3(v))) / self.k**0.5
        seen = ops.cast(seen, scores.dtype)
        w = ops.softmax(scores - ABSENT * (1 - seen)) * seen
        return ops.matmul(w, self.h_1(v))

    def compute_output_shape(self, e_shape, v_shape=None, seen_shape=None):
        return (e_shape[0], self.k)

    def get_config(self):
        return {**super().get_config(), "k": self.k}

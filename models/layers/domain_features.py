"""What the rows of each domain have in common, as a running mean that is kept with the model (DFEI)."""

import keras
from keras import ops

from models.backend.rows import by_domain
from models.layers.domain_means import domain_sums


def follow(means, seen, values, domain, momentum: float, counts=None):
    """Return running means after a batch, and which of them are there.

    A domain's mean begins as that of its first batch; one that is absent from the batch keeps its own. The
    gradient reaches the values, with a factor of 1 - momentum.

    Args:
        means: `(n_domains, width)`. seen: 1 where there is a mean, else 0, `(n_domains, 1)`. Both tensors:
            JAX compiles `where` with a variable's old value.
        values, domain, counts: see `domain_sums`. momentum: share that a mean keeps.
    """
    rows, total = domain_sums(values, domain, means.shape[0], counts)
    kept = momentum * seen  # nothing is kept of what was never there
    moved = kept * means + (1 - kept) * total / ops.maximum(rows, 1.0)
    return ops.where(rows > 0, moved, means), ops.where(rows > 0, 1.0, seen)


@keras.saving.register_keras_serializable("mdr")
class DomainFeatureExtraction(keras.layers.Layer):
    """v_d = alpha * v_d + (1 - alpha) * pooling(u_d): the feature of each domain (DFEI, Eq. 4).

    In training, pooling is the mean over the rows that a batch has of a domain. The first of these is v_d
    itself; a domain without a row in the batch keeps its feature. The gradient reaches u through the pooling
    of the batch alone: what is kept is a constant. At inference the features are those kept last.

    A domain without a feature as yet reads the mean of all features that there are, zeros if there are none.
    The unknown domain always does, in training, too: its rows are of no domain and enter no pooling.

    Args:
        n_domains: number of domains, the unknown one, which is the last, included.
        alpha: share of a feature that a batch leaves, in [0, 1].
    """

    def __init__(self, n_domains: int, alpha: float = 0.9, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.alpha = alpha

    def build(self, u_shape, domain_shape=None):
        # A mean moved in half precision would not move any more.
        state = {"initializer": "zeros", "trainable": False, "dtype": "float32", "autocast": False}
        self.v = self.add_weight(name="v", shape=(self.n_domains, u_shape[-1]), **state)
        self.seen = self.add_weight(name="seen", shape=(self.n_domains,), **state)
        by_domain(self.v, self.seen, grouped=False)
        self.built = True

    def call(self, u, domain, counts=None, training=False):
        """Return the domains' features, and move them before that in training.

        Args:
            u: the rows' specific representations, `(batch, width)`. domain: indices `(batch,)`.
            counts: 1 for a row that is pooled, 0 for one that is not, `(batch,)`; None where all are.
            training: whether the features follow the batch.

        Returns:
            V `(n_domains, width)`; which of them are there, 1 or 0, `(n_domains,)`; each row's own v_d
            `(batch, width)`.
        """
        v, seen = ops.convert_to_tensor(self.v), ops.convert_to_tensor(self.seen)
        if training:
            v, seen = self._moved(v, seen, ops.cast(u, "float32"), domain, counts)
            self.v.assign(ops.stop_gradient(v))
            self.seen.assign(seen)
        mean = ops.sum(v, axis=0) / ops.maximum(ops.sum(seen), 1.0)  # what is not there is zero
        v = ops.cast(ops.where(ops.expand_dims(seen, 1) > 0, v, mean), self.compute_dtype)
        return v, seen, ops.take(v, domain, axis=0)

    def _moved(self, v, seen, u, domain, counts):
        moved, there = follow(v, ops.expand_dims(seen, 1), u, domain, self.alpha, counts)
        known = ops.arange(self.n_domains) < self.n_domains - 1
        v = ops.where(ops.expand_dims(known, 1), moved, v)
        return v, ops.where(known, ops.squeeze(there, 1), seen)

    def compute_output_shape(self, u_shape, domain_shape=None):
        return (self.n_domains, u_shape[-1]), (self.n_domains,), tuple(u_shape)

    def get_config(self):
        return {**super().get_config(), "n_domains": self.n_domains, "alpha": self.alpha}

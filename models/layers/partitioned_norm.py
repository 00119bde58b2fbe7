"""Normalisation and scaling of each domain by itself."""

import keras
from keras import ops

from models.backend.rows import by_domain, move_by_row, take_rows


@keras.saving.register_keras_serializable("mdr")
class DomainScale(keras.layers.Layer):
    """x * gamma_d + beta_d, element by element, with a vector pair of each domain.

    Sources: the scenario-specific transform of SAR-Net (Shen et al., CIKM 2021); with `shared`, the
    (gamma gamma_p) x + (beta + beta_p) of STAR (Sheng et al., CIKM 2021, Eq. 3).

    Args:
        n_domains: number of domains, the unknown one included.
        shared: whether a gamma and a beta of all domains take part, too.
    """

    def __init__(self, n_domains: int, shared: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.shared = shared

    def build(self, x_shape, domain_shape=None):
        shape = (self.n_domains, x_shape[-1])
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        move_by_row(self.gamma, self.beta)
        by_domain(self.gamma, self.beta)
        if self.shared:
            self.shared_gamma = self.add_weight(name="shared_gamma", shape=shape[1:], initializer="ones")
            self.shared_beta = self.add_weight(name="shared_beta", shape=shape[1:], initializer="zeros")
        self.built = True

    def call(self, x, domain):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, width)`."""
        gamma = ops.cast(take_rows(self.gamma, domain), x.dtype)
        beta = ops.cast(take_rows(self.beta, domain), x.dtype)
        if self.shared:
            gamma *= ops.cast(self.shared_gamma, x.dtype)
            beta += ops.cast(self.shared_beta, x.dtype)
        return x * gamma + beta

    def compute_output_shape(self, x_shape, domain_shape=None):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "n_domains": self.n_domains, "shared": self.shared}


@keras.saving.register_keras_serializable("mdr")
class PartitionedNorm(keras.layers.Layer):
    """Batch normalisation by domain: (x - mu_d) / sqrt(sigma_d^2 + epsilon), then `DomainScale`.

    mu_d and sigma_d^2 are, in training, those of the domain's rows in the batch and, at inference, running
    ones. Two choices keep domains with few rows sound; one with many is normalised as in the papers: in
    training, the running moments count as one row more, so that a single row has a variance; and they forget
    by rows, not by batches, so that they rest on as many rows in every domain. They begin as those of one
    row, with mean 0 and variance 1. Sources: STAR (Sheng et al., CIKM 2021, Eq. 2-4), with `shared`; the
    domain-specific batch normalisation of ADI (Jiang et al., CIKM 2022), without.

    Args:
        n_domains: number of domains, the unknown one included, which has moments of its own.
        shared: see `DomainScale`.
        memory: rows that the running moments of a domain weigh against the next ones.
        epsilon: added to the variance, so that a field which never varied in a domain is not blown up when it
            does.
    """

    def __init__(
        self, n_domains: int, shared: bool = False, memory: int = 1000, epsilon: float = 1e-3, **kwargs
    ):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.shared = shared
        self.memory = memory
        self.epsilon = epsilon
        self._scale = DomainScale(n_domains, shared, dtype=self.dtype_policy)

    def build(self, x_shape, domain_shape=None):
        shape = (self.n_domains, x_shape[-1])
        state = {"trainable": False, "autocast": False}
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", **state)
        self.variance = self.add_weight(name="variance", shape=shape, initializer="ones", **state)
        self.rows = self.add_weight(name="rows", shape=(self.n_domains, 1), initializer="ones", **state)
        by_domain(self.mean, self.variance, self.rows)
        self._scale.build(x_shape)
        self.built = True

    def call(self, x, domain, training=False):
        """Map `(batch, width)` and domain indices `(batch,)` to `(batch, width)`."""
        dtype, x = x.dtype, ops.cast(x, self.mean.dtype)
        if training:
            mean, variance = self._moments(x, domain)
        else:
            mean, variance = take_rows(self.mean, domain), take_rows(self.variance, domain)
        x = (x - mean) * ops.rsqrt(variance + self.epsilon)
        return self._scale(ops.cast(x, dtype), domain)

    def _moments(self, x, domain):
        """Return the moments to normalise each row with, `(batch, width)`, and update the running ones.

        All is computed for the rows of the batch; a domain that is absent costs nothing and stays as it is.
        """
        batch = ops.shape(x)[0]
        # A domain is known by its last row, so that sums need a place per row and not one per domain.
        last = ops.segment_max(ops.arange(batch, dtype="int32"), domain, num_segments=self.n_domains)
        last = ops.take(last, domain)

        def total(values):
            return ops.take(ops.segment_sum(values, last, num_segments=batch), last, axis=0)

        old_mean, old_variance = take_rows(self.mean, domain), take_rows(self.variance, domain)
        remembered, rows = take_rows(self.rows, domain), total(ops.ones_like(x[:, :1]))

        def pooled(x, weight):
            """Return the moments of the domain's rows and of `weight` rows that have the running ones."""
            mean = (weight * old_mean + total(x)) / (weight + rows)
            spread = weight * (old_variance + ops.square(old_mean - mean)) + total(ops.square(x - mean))
            return mean, spread / (weight + rows)

        mean, variance = pooled(ops.stop_gradient(x), remembered)
        remembered = ops.minimum(remembered + rows, float(self.memory))
        for state, new in ((self.mean, mean), (self.variance, variance), (self.rows, remembered)):
            # Rows of one domain all write the same.
            state.assign(ops.scatter_update(ops.convert_to_tensor(state), ops.expand_dims(domain, 1), new))
        return pooled(x, 1.0)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return x_shape

    def get_config(self):
        config = {"n_domains": self.n_domains, "shared": self.shared}
        return {**super().get_config(), **config, "memory": self.memory, "epsilon": self.epsilon}

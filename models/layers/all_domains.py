"""The towers of all domains, for every row."""

import keras
from keras import ops

from models.layers.domain import DomainTower


@keras.saving.register_keras_serializable("mdr")
class AllDomainTowers(DomainTower):
    """The towers of `DomainTower`, all of them over every row; a row moves that of its own domain only.

    Computes all domains: the forward work grows with their number. The backward work does not, for the
    logits of other domains pass no gradient; being read and not trained, they have no dropout either.
    Source: the scenario towers of HMoE (Li et al., CIKM 2020), whose scores meet in the label space.

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of each hidden layer.
        dropout: share of activations dropped in training.
    """

    def call(self, x, domain, training=False):
        """Map `(batch, width)` and domain indices `(batch,)` to all domains' logits, `(batch, n_domains)`."""
        own = super().call(x, domain, training=training)
        hidden = ops.expand_dims(ops.stop_gradient(x), 0)  # domains first: (1 or domains, batch, width)
        for layer in (*self._hidden, self._logit):
            kernel, bias = (ops.stop_gradient(ops.cast(w, x.dtype)) for w in (layer.kernel, layer.bias))
            hidden = layer.activation(ops.matmul(hidden, kernel) + ops.expand_dims(bias, 1))
        others = ops.transpose(ops.squeeze(hidden, 2))
        return ops.where(ops.one_hot(domain, self.n_domains, dtype="bool"), ops.expand_dims(own, 1), others)

    def compute_output_shape(self, x_shape, domain_shape=None):
        return (x_shape[0], self.n_domains)

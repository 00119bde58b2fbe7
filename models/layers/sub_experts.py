"""Experts that are mixtures of sub-experts."""

from collections.abc import Sequence

import keras
from keras import ops

from models.backend.rows import by_domain
from models.layers.mlp import Experts


@keras.saving.register_keras_serializable("mdr")
class SubExpertIntegration(keras.layers.Layer):
    """Experts S_i(x) = sum_k g_ik(x) Q_ik(x): sub-experts Q_ik, mixed by a gate g_i = softmax(W_i x).

    All experts are computed for every row. Source: the sub-expert integration of HiNet (Zhou et al., ICDE
    2023, section III).

    Args:
        n_experts: number of experts.
        n_sub_experts: sub-experts of each.
        units: width of each layer of a sub-expert.
        dropout: share of activations dropped in training.
    """

    def __init__(
        self, n_experts: int, n_sub_experts: int, units: Sequence[int], dropout: float = 0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.n_experts = n_experts
        self.n_sub_experts = n_sub_experts
        self.units = tuple(units)
        self.dropout = dropout
        self._sub_experts = Experts(n_experts * n_sub_experts, units, dropout, dtype=self.dtype_policy)
        self._gate = keras.layers.Dense(n_experts * n_sub_experts, use_bias=False, dtype=self.dtype_policy)

    def build(self, input_shape):
        self._sub_experts.build(input_shape)
        self._gate.build(input_shape)
        self.built = True

    def call(self, x, training=False):
        """Map `(batch, width)` to `(batch, n_experts, units[-1])`."""
        each = (-1, self.n_experts, self.n_sub_experts)
        gate = ops.softmax(ops.reshape(self._gate(x), each))
        parts = ops.reshape(self._sub_experts(x, training=training), (*each, self.units[-1]))
        return ops.einsum("bek,beku->beu", gate, parts)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n_experts, self.units[-1])

    def get_config(self):
        config = {"n_experts": self.n_experts, "n_sub_experts": self.n_sub_experts}
        return {**super().get_config(), **config, "units": self.units, "dropout": self.dropout}


@keras.saving.register_keras_serializable("mdr")
class DomainSubExperts(SubExpertIntegration):
    """`SubExpertIntegration` with one expert for each domain, the unknown one included."""

    def build(self, input_shape):
        super().build(input_shape)
        by_domain(*self._sub_experts.weights)
        by_domain(*self._gate.weights, axis=-1)

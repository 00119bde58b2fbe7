"""Attention and tower whose weights are generated from what is known about the domain."""

from collections.abc import Sequence

import keras
from keras import ops

from models.layers.generated import GeneratedDense
from models.layers.mlp import MLP


@keras.saving.register_keras_serializable("mdr")
class MetaAttention(keras.layers.Layer):
    """sum_i softmax_i(v^T Meta(E_i)) E_i over experts E_i, Meta a dense layer generated for the domain.

    The paper joins the task's vector to E_i; with one task it is a constant, which Meta's generated bias
    holds already. Source: M2M (Zhang et al., WSDM 2022, section 4.3.2).

    Args:
        n_domains: number of domains, the unknown one included.
        units: width of Meta's output.
    """

    def __init__(self, n_domains: int, units: int, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.units = units
        policy = self.dtype_policy
        self._meta = GeneratedDense(units, n_domains=n_domains, activation="leaky_relu", dtype=policy)
        self._score = keras.layers.Dense(1, use_bias=False, dtype=policy)

    def build(self, experts_shape, domain_shape, condition_shape):
        self._meta.build((None, experts_shape[-1]), condition_shape)
        self._score.build((None, self.units))
        self.built = True

    def call(self, experts, domain, condition):
        """Mix experts.

        Args:
            experts: `(batch, experts, width)`. domain: indices `(batch,)`.
            condition: `(batch, known)`, the same for all rows of a domain.

        Returns:
            `(batch, width)`.
        """
        count, width = experts.shape[1:]
        each = ops.reshape(experts, (-1, width))
        hidden = self._meta(each, ops.repeat(condition, count, axis=0), ops.repeat(domain, count))
        weights = ops.softmax(ops.reshape(self._score(hidden), (-1, count)))
        return ops.einsum("be,bek->bk", weights, experts)

    def compute_output_shape(self, experts_shape, domain_shape, condition_shape):
        return (experts_shape[0], experts_shape[2])

    def get_config(self):
        return {**super().get_config(), "n_domains": self.n_domains, "units": self.units}


@keras.saving.register_keras_serializable("mdr")
class MetaTower(keras.layers.Layer):
    """L_j = LeakyReLU(Meta_j(L_j-1) + L_j-1), then one logit.

    Meta_j is a dense layer generated for the domain. Source: M2M (Zhang et al., WSDM 2022, section 4.3.3).

    Args:
        n_domains: number of domains, the unknown one included.
        n_layers: number of generated layers, all as wide as the input.
        dropout: share of activations dropped in training.
    """

    def __init__(self, n_domains: int, n_layers: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.n_layers = n_layers
        self.dropout = dropout
        self._logit = keras.layers.Dense(1, dtype=self.dtype_policy)
        self._drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, x_shape, domain_shape, condition_shape):
        self._metas = [
            GeneratedDense(x_shape[-1], n_domains=self.n_domains, dtype=self.dtype_policy)
            for _ in range(self.n_layers)
        ]
        for meta in self._metas:
            meta.build(x_shape, condition_shape)
        self._logit.build(x_shape)
        self.built = True

    def call(self, x, domain, condition, training=False):
        """Map `(batch, width)`, domain indices `(batch,)` and `(batch, known)` to logits `(batch,)`."""
        for meta in self._metas:
            x = self._drop(ops.leaky_relu(meta(x, condition, domain) + x), training=training)
        return ops.squeeze(self._logit(x), 1)

    def compute_output_shape(self, x_shape, domain_shape, condition_shape):
        return (x_shape[0],)

    def get_config(self):
        config = {"n_domains": self.n_domains, "n_layers": self.n_layers, "dropout": self.dropout}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("mdr")
class MetaScenario(keras.layers.Layer):
    """tower_z(sum_i a_z,i E_i): `MetaAttention` and `MetaTower`, both generated from knowledge z = MLP(s).

    Source: M2M (Zhang et al., WSDM 2022, sections 4.2-4.3).

    Args:
        n_domains: number of domains, the unknown one included.
        knowledge_units: layers that make z. attention_units: width of the generated attention.
        units: widths of the tower's generated layers, all that of an expert.
        dropout: share of activations dropped in training.
    """

    def __init__(
        self,
        n_domains: int,
        knowledge_units: Sequence[int],
        attention_units: int,
        units: Sequence[int],
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.knowledge_units = tuple(knowledge_units)
        self.attention_units = attention_units
        self.units = tuple(units)
        self.dropout = dropout
        policy = self.dtype_policy
        self.knowledge = MLP(self.knowledge_units, dtype=policy)
        self.attention = MetaAttention(n_domains, attention_units, dtype=policy)
        self.tower = MetaTower(n_domains, len(self.units), dropout, dtype=policy)

    def build(self, experts_shape, domain_shape, embedding_shape):
        self.knowledge.build(embedding_shape)
        condition = self.knowledge.compute_output_shape(embedding_shape)
        self.attention.build(experts_shape, domain_shape, condition)
        self.tower.build((None, experts_shape[-1]), domain_shape, condition)
        self.built = True

    def call(self, experts, domain, embedding, training=False):
        """Mix experts and map them to logits.

        Args:
            experts: `(batch, experts, width)`. domain: indices `(batch,)`.
            embedding: s, the domain's, `(batch, dim)`. training: whether dropout is active.

        Returns:
            `(batch,)`.
        """
        z = self.knowledge(embedding)
        return self.tower(self.attention(experts, domain, z), domain, z, training=training)

    def compute_output_shape(self, experts_shape, domain_shape, embedding_shape):
        return (experts_shape[0],)

    def get_config(self):
        config = {"n_domains": self.n_domains, "knowledge_units": self.knowledge_units}
        config |= {"attention_units": self.attention_units, "units": self.units, "dropout": self.dropout}
        return {**super().get_config(), **config}

"""Hierarchical Expert Integration: levels of experts, of which each domain's mask chooses its own (AREAD)."""

from collections.abc import Sequence

import keras
from keras import ops

from models.backend.base import store
from models.backend.rows import by_domain, move_by_row, take_rows
from models.layers import domain as domain_layers
from models.layers.mlp import glorot
from models.layers.routing import DomainBlocks


@keras.saving.register_keras_serializable("mdr")
class ExpertHierarchy(keras.layers.Layer):
    """Levels of experts, each expert over a mixture of those of the level before (AREAD, sections 2.3-2.4).

    Eq. 3 and 4: e_{l,n} = MLP(sum_i w[i, n] e_{l-1,i}) with w = M g / sum_i M g, M the mask of the row's
    domain and g its gates. A mask of ones gives Eq. 3, for the gates of an expert sum to 1. The first level
    reads the layer's input.

    Where the paper is silent: the gates g_{l,n} are a softmax over the level before, computed from a vector
    of the domain beside the mean vector of the first-level experts that its mask uses, so that they depend on
    the domain alone; the outputs e_{L,n} end in one unit each. An edge from an expert that gets nothing is
    never in a mask: see `models.masks`.

    Args:
        n_domains: number of domains, the unknown one included; all masks begin with ones.
        n_experts: N_l, experts on each level.
        units: on each level, the widths of an expert's layers (ReLU after each).
        dim: width of the vectors of domains and first-level experts.
        dropout: share of activations dropped in training; a row's mask is the same in all experts.
    """

    def __init__(
        self,
        n_domains: int,
        n_experts: Sequence[int],
        units: Sequence[Sequence[int]],
        dim: int,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.n_domains = n_domains
        self.n_experts = tuple(n_experts)
        self.units = tuple(map(tuple, units))
        self.dim = dim
        self.dropout = dropout
        self._drop = keras.layers.Dropout(dropout, noise_shape=(None, 1, None, None))

    def build(self, x_shape, domain_shape=None):
        width = x_shape[-1]
        self.experts = []  # per level, kernel and bias of each layer
        self.gate_layers, self.masks = [], []
        vectors = keras.initializers.RandomNormal(stddev=0.1)
        self.domain_vectors = self.add_weight(
            name="domain_vectors", shape=(self.n_domains, self.dim), initializer=vectors
        )
        move_by_row(self.domain_vectors)
        by_domain(self.domain_vectors)
        self.expert_vectors = self.add_weight(
            name="expert_vectors", shape=(self.n_experts[0], self.dim), initializer=vectors
        )
        last = len(self.n_experts) - 1
        for level, (count, widths) in enumerate(zip(self.n_experts, self.units, strict=True)):
            layers = []
            for i, units in enumerate((*widths, 1) if level == last else widths):
                layers.append(self._dense(f"expert_{level + 1}_{i}", (count,), width, units))
                width = units
            self.experts.append(layers)
            if level:
                before = self.n_experts[level - 1]
                self.gate_layers.append(self._dense(f"gate_{level + 1}", (), 2 * self.dim, before * count))
                mask = self.add_weight(
                    name=f"mask_{level + 1}",
                    shape=(self.n_domains, before, count),
                    dtype="bool",
                    initializer=lambda shape, dtype=None: ops.ones(shape, dtype),
                    trainable=False,
                )
                by_domain(mask)
                self.masks.append(store(mask))
        self.built = True

    def _dense(self, name: str, lead: tuple[int, ...], width: int, units: int):
        kernel = self.add_weight(
            name=f"{name}_kernel", shape=(*lead, width, units), initializer=glorot(width, units)
        )
        return kernel, self.add_weight(name=f"{name}_bias", shape=(*lead, units), initializer="zeros")

    @property
    def shared(self) -> list[keras.Variable]:
        """The weights that are no single domain's: experts, gate layers, vectors of experts."""
        return [v for v in self.trainable_variables if v is not self.domain_vectors]

    def call(self, x, domain, training=False):
        """Apply the masks of the rows' domains.

        Args:
            x: `(batch, width)`. domain: indices `(batch,)`. training: whether dropout is active.

        Returns:
            The logits e_{L,j} `(batch, N_L)`, and which of them are in use, K(M_d) of Eq. 7, `(batch, N_L)`.
        """
        blocks = DomainBlocks(domain, self.n_domains, domain_layers.BLOCK_ROWS)
        masks = [take_rows(mask, blocks.domain) for mask in self.masks]
        weights = [weight.value for weight in self.shared]
        gates = self.gates(weights, take_rows(self.domain_vectors, blocks.domain), masks)
        logits = blocks.ungroup(self.outputs(weights, blocks.group(x), gates, masks, training))
        in_use = ops.any(take_rows(self.masks[-1], domain), axis=1)
        return logits, in_use

    def gates(self, weights: list, domain_vectors, masks: list) -> list:
        """Return g of the levels 2 to L, each `(groups, N_{l-1}, N_l)`, without the masks.

        Args:
            weights: see `outputs`. domain_vectors: of each group's domain `(groups, dim)`.
            masks: of the levels 2 to L, `(groups, N_{l-1}, N_l)`.
        """
        values = self._by_variable(weights)
        vectors = values(self.expert_vectors)
        used = ops.cast(ops.any(masks[0], axis=2), vectors.dtype)  # (groups, N_1)
        used = used / ops.maximum(ops.sum(used, axis=1, keepdims=True), 1.0)
        lead = "g" if len(vectors.shape) == 3 else ""
        group = ops.einsum(f"gi,{lead}id->gd", used, vectors)
        state = ops.concatenate([ops.cast(domain_vectors, vectors.dtype), group], axis=1)
        gates = []
        for (kernel, bias), mask in zip(self.gate_layers, masks, strict=True):
            logits = ops.einsum(f"gi,{lead}io->go", state, values(kernel)) + values(bias)
            gates.append(ops.softmax(ops.reshape(logits, (-1, *mask.shape[1:])), axis=1))
        return gates

    def outputs(self, weights: list, x, gates: list, masks: list, training: bool = False):
        """Compute Eq. 4 for groups of rows, all rows of a group with one mask.

        Args:
            weights: values of `shared`, in its order; or with a leading axis, one set for each group.
            x: `(groups, rows, width)`. gates, masks: of the levels 2 to L, `(groups, N_{l-1}, N_l)`.

        Returns:
            The logits of all experts of the last level, `(groups, rows, N_L)`.
        """
        values = self._by_variable(weights)
        x = ops.expand_dims(x, 1)  # (groups, 1 or experts, rows, width)
        last = len(self.experts) - 1
        for level, layers in enumerate(self.experts):
            if level:
                weighted = gates[level - 1] * ops.cast(masks[level - 1], gates[level - 1].dtype)
                total = ops.sum(weighted, axis=1, keepdims=True)
                share = weighted / ops.where(total > 0, total, 1.0)
                x = ops.einsum("gin,girw->gnrw", ops.cast(share, x.dtype), x)
            for i, (kernel, bias) in enumerate(layers):
                x = ops.matmul(x, ops.cast(values(kernel), x.dtype))
                x = x + ops.expand_dims(ops.cast(values(bias), x.dtype), -2)
                if level < last or i < len(layers) - 1:
                    x = self._drop(ops.relu(x), training=training)
        return ops.transpose(ops.squeeze(x, 3), (0, 2, 1))

    def _by_variable(self, weights: list):
        """Return the function that gives a variable's value among those of `shared`."""
        values = {id(variable): value for variable, value in zip(self.shared, weights, strict=True)}
        return lambda variable: values[id(variable)]

    def compute_output_shape(self, x_shape, domain_shape=None):
        shape = (x_shape[0], self.n_experts[-1])
        return shape, shape

    def get_config(self):
        config = {"n_domains": self.n_domains, "n_experts": self.n_experts, "units": self.units}
        return {**super().get_config(), **config, "dim": self.dim, "dropout": self.dropout}

"""Every input field as one vector."""

import keras
import numpy as np
from keras import ops

from models.backend.rows import by_domain, move_by_row, take_rows
from models.features import FeatureSpec
from models.layers.specific import SparseRows


def first_rows(spec: FeatureSpec) -> tuple[dict[str, int], int]:
    """Return where each field's rows begin in a table, and how many all fields have: one set of embeddings.

    Categorical fields come first, then sequences.
    """
    first, rows = {}, 0
    for kind in ("categorical", "sequence"):
        for field in spec.fields:
            if field.kind == kind:
                first[field.name] = rows
                rows += field.size
    return first, rows


@keras.saving.register_keras_serializable("mdr")
class FieldEmbedding(keras.layers.Layer):
    """Embeds every field of a row, the domain last unless it is left out.

    All categorical fields and sequences share one table, each field with its own range of rows, so that a
    batch is one look-up however many fields there are. A sequence is the mean over its values, a number its
    value times a learned vector.

    Args:
        spec: the model's inputs.
        dim: width of an embedding.
        l2: L2 penalty on the embeddings that a batch looks up, averaged over its rows.
        copies: number of sets of embeddings, of which each row reads one; the domains' own embeddings are
            in one set.
        with_domain: whether the domain is embedded, too; if not, no input of its name is needed.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int,
        l2: float = 0.0,
        copies: int = 1,
        with_domain: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.spec = FeatureSpec.model_validate(spec)
        self.dim = dim
        self.l2 = l2
        self.copies = copies
        self.with_domain = with_domain
        self.specific = SparseRows()  # what each domain adds to the table, if anything
        self._single = [field for field in self.spec.fields if field.kind == "categorical"]
        self._sequences = [field for field in self.spec.fields if field.kind == "sequence"]
        self._numeric = [field for field in self.spec.fields if field.kind == "numeric"]
        self._first_row, rows = first_rows(self.spec)
        self._copy_rows = rows
        self._first_row[self.spec.domain] = copies * rows
        self._rows = copies * rows + (self.spec.n_domains + 1 if with_domain else 0)
        # Where each field of the spec lies among the blocks that `call` concatenates.
        blocks = [field.name for field in (*self._single, *self._sequences, *self._numeric)]
        self._order = [blocks.index(field.name) for field in self.spec.fields]
        self._order += [len(blocks)] if with_domain else []

    def build(self, inputs_shape, copy_shape=None):
        initializer = keras.initializers.RandomNormal(stddev=0.01)
        self.table = self.add_weight(name="table", shape=(self._rows, self.dim), initializer=initializer)
        move_by_row(self.table)
        if self._numeric:
            self.numeric = self.add_weight(
                name="numeric", shape=(self.copies * len(self._numeric), self.dim), initializer=initializer
            )
            if self.copies > 1:
                move_by_row(self.numeric)
                by_domain(self.numeric)
        self.built = True

    def call(self, inputs: dict, copy=None) -> keras.KerasTensor:
        """Embed a batch.

        Args:
            inputs: by name: indices `(batch,)`, `(batch, length)` for sequences, floats `(batch,)` for
                numbers, and the domain's index `(batch,)`.
            copy: which copy each row reads, `(batch,)`; of no effect where there is only one.

        Returns:
            `(batch, fields + 1, dim)` in the order of the spec, the domain last; `(batch, fields, dim)`
            without it.
        """
        domain = inputs[self.spec.domain] if self.with_domain else None
        blocks, copy = [], ops.expand_dims(copy, 1) if self.copies > 1 else 0
        start = copy * self._copy_rows
        names = [field.name for field in self._single]
        if names:
            rows = ops.stack([inputs[name] + self._first_row[name] for name in names], axis=1)
            blocks.append(self._look_up(ops.cast(rows, "int32") + start, domain))
        for field in self._sequences:
            index = ops.cast(inputs[field.name], "int32")
            vectors = self._look_up(index + self._first_row[field.name] + start, domain)
            present = ops.expand_dims(ops.cast(index > 0, vectors.dtype), 2)
            count = ops.maximum(ops.sum(present, axis=1), 1.0)
            blocks.append(ops.expand_dims(ops.sum(vectors * present, axis=1) / count, 1))
        if self._numeric:
            values = ops.stack([inputs[field.name] for field in self._numeric], axis=1)
            vectors = self.numeric
            if self.copies > 1:
                count = len(self._numeric)
                vectors = take_rows(self.numeric, copy * count + ops.arange(count, dtype="int32"))
            blocks.append(ops.expand_dims(ops.cast(values, self.compute_dtype), 2) * vectors)
        if self.with_domain:
            own = ops.expand_dims(ops.cast(domain, "int32") + self._first_row[self.spec.domain], 1)
            blocks.append(self._look_up(own, domain))
        fields = ops.concatenate(blocks, axis=1)
        if self.l2:
            self.add_loss(self.l2 * ops.mean(ops.sum(ops.square(fields), axis=(1, 2))))
        return ops.take(fields, self._order, axis=1)

    def _look_up(self, rows, domain):
        vectors = take_rows(self.table, rows)
        return vectors + self.specific(rows, domain) if self.specific.pairs else vectors

    def of_domains(self, domains: tuple[int, ...]):
        """Return the embeddings of some domains, `(domains, dim)`."""
        return take_rows(self.table, np.array(domains, "int32") + self._first_row[self.spec.domain])

    def touched(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Return the rows of the table that each of some rows looks up, `(rows, n)`."""
        if self.copies > 1:
            raise ValueError("embeddings that each domain has of its own are specific already.")
        names = [field.name for field in (*self._single, *self._sequences)]
        blocks = [np.atleast_2d(arrays[name].T).T + self._first_row[name] for name in names]
        own = np.asarray(arrays[self.spec.domain]) + self._first_row[self.spec.domain]
        return np.concatenate([*blocks, own[:, None]], axis=1)

    def compute_output_shape(self, inputs_shape, copy_shape=None):
        batch = next(iter(inputs_shape.values()))[0]
        return (batch, len(self._order), self.dim)

    def get_config(self):
        spec = self.spec.model_dump(mode="json")
        config = {"spec": spec, "dim": self.dim, "l2": self.l2, "copies": self.copies}
        return {**super().get_config(), **config, "with_domain": self.with_domain}

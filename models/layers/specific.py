"""Parameters that each domain adds to the shared ones: Theta = theta_S + theta_i (MAMDR, Eq. 5)."""

import keras
import numpy as np
from keras import ops

from models.backend.base import store
from models.backend.rows import by_domain, move_by_row, take_rows, write_rows

MISSING = -1  # of `acting`: each row's own domain acts


def add_acting(layer: keras.layers.Layer) -> keras.Variable:
    """Add the weight to a layer that says which domain's parameters act on all rows."""
    nobody = keras.initializers.Constant(MISSING)
    return layer.add_weight(name="acting", shape=(), dtype="int32", initializer=nobody, trainable=False)


class SpecificParameters(keras.layers.Layer):
    """What each domain adds to some variables of a model.

    Nothing here costs a copy of the model per domain: variables whose rows belong to users, items or domains
    are left to `SparseRows`; of the others each domain keeps a difference, whole or as a product of two
    factors of a given rank. All start at zero, so that a domain without training has the shared parameters.

    The layer is part of every model and empty until a learning method asks for it.

    Attributes:
        acting: the domain whose parameters all rows have at the moment, a scalar, or `MISSING`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.acting: keras.Variable | None = None
        self.of: list[keras.Variable] = []
        self.stacks: list[list[keras.Variable]] = []  # per variable: of differences, or two of factors
        self.built = True

    def set_up(self, variables: list[keras.Variable], n_domains: int, rank: int = 0) -> None:
        """Make room.

        Args:
            variables: the model's variables that get a difference per domain.
            n_domains: number of domains, the unknown one included.
            rank: of the factors that a matrix is kept in; 0 keeps it whole.
        """
        self.of = list(variables)
        self.acting = add_acting(self)
        self.n_domains = n_domains
        self.rank = rank
        for i, variable in enumerate(self.of):
            shapes = [tuple(variable.shape)]
            if rank and len(variable.shape) > 1 and rank * 2 < min(variable.shape[-2:]):
                *lead, rows, columns = variable.shape
                shapes = [(*lead, rows, rank), (*lead, rank, columns)]
            self.stacks.append([self._stack(f"{i}_{j}", shape) for j, shape in enumerate(shapes)])

    def _stack(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        stack = self.add_weight(
            name=name, shape=(self.n_domains, *shape), initializer="zeros", trainable=False
        )
        by_domain(stack, grouped=False)
        return store(stack)

    def differences(self, domain) -> list:
        """Return what a domain, a scalar index, adds to each variable."""
        parts = [[take_rows(stack, domain) for stack in stacks] for stacks in self.stacks]
        return [part[0] if len(part) == 1 else ops.matmul(*part) for part in parts]

    def write(self, domain, differences: list) -> None:
        """Set what a domain adds to each variable; factors give the nearest matrix of their rank."""
        row = ops.reshape(domain, (1,))
        for stacks, difference in zip(self.stacks, differences, strict=True):
            if len(stacks) == 1:
                factors = [difference]
            else:
                u, s, v = ops.svd(difference, full_matrices=False)
                root = ops.sqrt(s[..., : self.rank])
                factors = [u[..., : self.rank] * root[..., None, :], v[..., : self.rank, :] * root[..., None]]
            for stack, factor in zip(stacks, factors, strict=True):
                write_rows(stack, row, ops.expand_dims(factor, 0))


class SparseRows(keras.layers.Layer):
    """What each domain adds to the rows of an embedding table that its training data touches.

    A pair of domain and row is searched for. While one domain acts on all rows, `places` says at once where
    its differences stand.

    The layer is part of every embedding and empty until a learning method asks for it.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pairs = 0
        self.built = True

    def set_up(self, domain: np.ndarray, row: np.ndarray, n_rows: int, n_domains: int, dim: int) -> None:
        """Make room.

        Args:
            domain, row: the pairs that have a difference, sorted by domain and then row, `(pairs,)`.
            n_rows: rows of the table. n_domains: number of domains, the unknown one included. dim: width.

        Raises:
            ValueError: more possible pairs than the backend's integers can tell apart.
        """
        integer = keras.backend.standardize_dtype(ops.convert_to_tensor(np.zeros(1, "int64")).dtype)
        if n_domains * n_rows > np.iinfo(integer).max:
            raise ValueError(
                f"{n_domains} domains with {n_rows:,} embeddings are more pairs than {integer} can count: "
                "use the TensorFlow backend, or keep the embeddings shared."
            )
        self.n_rows, self.pairs = n_rows, len(row)
        keys = domain.astype("int64") * n_rows + row
        self.keys = store(
            self.add_weight(
                name="keys",
                shape=(self.pairs,),
                dtype=integer,
                initializer=lambda *_, **__: keys,
                trainable=False,
            )
        )
        self.acting = add_acting(self)
        nowhere = keras.initializers.Constant(self.pairs)
        self.places = store(
            self.add_weight(
                name="places", shape=(n_rows,), dtype="int32", initializer=nowhere, trainable=False
            )
        )
        self.table = self.add_weight(name="table", shape=(self.pairs + 1, dim), initializer="zeros")
        move_by_row(self.table)
        self.offsets = np.searchsorted(domain, np.arange(n_domains + 1))  # where each domain's rows begin

    def act(self, domain: int) -> None:
        """Let a domain's differences be added to all rows; `MISSING` ends that."""
        before = int(self.acting.numpy())
        if before != MISSING:
            self._note(before, np.full(len(self.of(before)), self.pairs, "int32"))
        if domain != MISSING:
            self._note(domain, self.of(domain))
        self.acting.assign(domain)

    def of(self, domain: int) -> np.ndarray:
        """Return where a domain's differences stand in `table`."""
        return np.arange(*self.offsets[domain : domain + 2], dtype="int32")

    def _note(self, domain: int, places: np.ndarray) -> None:
        rows = take_rows(self.keys, self.of(domain)) - domain * self.n_rows
        write_rows(self.places, ops.cast(rows, "int32"), places)

    def call(self, rows, domain):
        """Return what is added to the looked-up embeddings.

        Args:
            rows: of the table, `(batch, n)`. domain: of each row of the batch, `(batch,)`; while `acting` is
                not `MISSING`, that domain's differences are used for all.

        Returns:
            `(batch, n, dim)`; zeros for a pair that has none.
        """
        place = ops.cond(
            self.acting.value == MISSING,
            lambda: self._search(rows, domain),
            lambda: take_rows(self.places, rows),
        )
        found = ops.cast(place < self.pairs, self.compute_dtype)
        return take_rows(self.table, place) * ops.expand_dims(found, -1)

    def _search(self, rows, domain):
        keys = ops.cast(domain, self.keys.dtype)[:, None] * self.n_rows + ops.cast(rows, self.keys.dtype)
        place = ops.searchsorted(self.keys.value, ops.reshape(keys, (-1,)))
        place = ops.reshape(ops.cast(place, "int32"), ops.shape(keys))
        found = ops.take(self.keys.value, ops.minimum(place, self.pairs - 1)) == keys
        return ops.where(found, place, self.pairs)

"""The rows of a split as columns, sorted by domain: a batch is index arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.backend.base import LABEL


@dataclass(frozen=True)
class Columns:
    """The rows of one split.

    Attributes:
        arrays: by name, memory-mapped: int32 indices and float32 numbers `(rows,)`, sequences
            `(rows, length)`, the `label` float32 `(rows,)`.
        offsets: rows of domain d are `offsets[d]` to `offsets[d + 1]`; `(n_domains + 2,)`, the unknown
            domain last.
    """

    arrays: dict[str, np.ndarray]
    offsets: np.ndarray

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.arrays[LABEL])

    def domain_rows(self, domain: int) -> np.ndarray:
        """Return the row numbers of one domain."""
        return np.arange(self.offsets[domain], self.offsets[domain + 1])

    def take(self, rows: np.ndarray, steps: int) -> dict[str, np.ndarray]:
        """Return `(steps, batch, ...)` arrays of given rows; their number must be a multiple of `steps`."""
        return {
            name: np.take(array, rows, axis=0).reshape(steps, -1, *array.shape[1:])
            for name, array in self.arrays.items()
        }

    def batches(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield all rows in their order, `(batch, ...)` by name, the last batch shorter."""
        for first in range(0, self.rows, batch_size):
            yield {name: array[first : first + batch_size] for name, array in self.arrays.items()}

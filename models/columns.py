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

    def of_domain(self, domain: int) -> dict[str, np.ndarray]:
        """Return the arrays of one domain's rows."""
        rows = slice(self.offsets[domain], self.offsets[domain + 1])
        return {name: array[rows] for name, array in self.arrays.items()}

    def domain_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the domains of given rows."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def mixed(self, random: np.random.Generator) -> np.ndarray:
        """Return the numbers of all rows in a random order."""
        return random.permutation(self.rows)

    def by_share(self, shares: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
        """Draw row numbers with replacement, so that each domain has a given share of them on average.

        Args:
            shares: of each domain, the unknown one last, `(n_domains + 1,)`, in any unit.
            count: how many rows. random: of the draw.

        Returns:
            Row numbers `(count,)`, mixed.

        Raises:
            ValueError: a domain without rows has a share.
        """
        sizes = np.diff(self.offsets)
        empty = np.flatnonzero((sizes == 0) & (shares > 0))
        if len(empty):
            raise ValueError(f"domain {empty[0]} has no rows to draw a share of {shares[empty[0]]:g} from.")
        ends = np.cumsum(shares, dtype=np.float64)
        domain = np.searchsorted(ends, random.random(count) * ends[-1], side="right")
        return self.offsets[domain] + (random.random(count) * sizes[domain]).astype(np.int64)

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


def join(first: Columns, second: Columns) -> Columns:
    """Return the rows of both, in memory, sorted by domain; within one, those of the first come first."""
    domains = range(len(first.offsets) - 1)
    parts = [part.of_domain(domain) for domain in domains for part in (first, second)]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in first.arrays}
    return Columns(arrays, first.offsets + second.offsets)

"""Masks of expert hierarchies: how candidates begin, and how they are pruned (AREAD, section 2.4)."""

import itertools
from collections.abc import Sequence

import numpy as np


class MaskSpace:
    """All masks of a hierarchy, each as one flat row of its edges.

    Args:
        n_experts: N_l, experts on each level.

    Attributes:
        shapes: of the masks of the levels 2 to L. edges: how many they have in all.
    """

    def __init__(self, n_experts: Sequence[int]):
        self.shapes = list(itertools.pairwise(n_experts))
        self._ends = np.cumsum([rows * columns for rows, columns in self.shapes])
        self.edges = int(self._ends[-1])

    def flat(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """Return masks or gates of the levels, each `(n, N_{l-1}, N_l)`, as `(n, edges)`."""
        return np.concatenate([np.asarray(level).reshape(len(level), -1) for level in levels], axis=1)

    def levels(self, flat: np.ndarray) -> list[np.ndarray]:
        """Return `(n, edges)` as `(n, N_{l-1}, N_l)` of the levels 2 to L."""
        parts = np.split(flat, self._ends[:-1], axis=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def connected(self, masks: np.ndarray) -> np.ndarray:
        """Return masks `(n, edges)` without the edges from an expert that gets nothing.

        An expert of the levels 2 to L whose incoming column is empty outputs nothing, so its outgoing edges
        are cut, and so on upwards.
        """
        first, *others = self.levels(masks)
        kept = [first]
        for mask in others:
            fed = kept[-1].any(axis=1)  # (n, N_{l-1})
            kept.append(mask & fed[:, :, None])
        return self.flat(kept)

    def has_output(self, masks: np.ndarray) -> np.ndarray:
        """Return whether a path leads through each mask to an output, `(n,)`."""
        return self.levels(self.connected(masks))[-1].any(axis=(1, 2))

    def density(self, masks: np.ndarray) -> np.ndarray:
        """Return the share of edges in use, ||T||_0 / sum_l N_{l-1} N_l, `(n,)`."""
        return masks.mean(axis=1)

    def candidates(
        self, gates: np.ndarray, count: int, s0: float, flip: float, random: np.random.Generator
    ) -> np.ndarray:
        """Return candidate masks to begin with (Algorithm 1, line 8).

        The `s0` share of edges with the largest gates is kept; then each candidate inverts every edge with a
        chance of its own, drawn as |N(0, flip)|. One that leads to no output is taken back to all edges.

        Args:
            gates: of each domain `(domains, edges)`. count: Z, candidates of each.
            s0: share kept. flip: see above. random: of the draws.

        Returns:
            Bool `(domains, count, edges)`.
        """
        kept = np.zeros(gates.shape, bool)
        largest = np.argsort(-gates, axis=1, kind="stable")[:, : max(1, round(s0 * self.edges))]
        np.put_along_axis(kept, largest, True, axis=1)
        chance = np.abs(random.normal(0, flip, (len(gates), count, 1)))
        inverted = random.random((len(gates), count, self.edges)) < chance
        drawn = self.connected((kept[:, None] ^ inverted).reshape(-1, self.edges))
        drawn[~self.has_output(drawn)] = True
        return drawn.reshape(inverted.shape)

    def prune(self, masks: np.ndarray, gates: np.ndarray, alpha: float) -> np.ndarray:
        """Return masks without the `alpha` share of their edges whose gates are smallest (line 11).

        All levels are compared together. A mask that would be left without output stays as it is.

        Args:
            masks, gates: `(n, edges)`. alpha: share of the edges in use; at least one is pruned.
        """
        order = np.argsort(np.where(masks, gates, np.inf), axis=1, kind="stable")
        count = np.maximum(1, np.round(alpha * masks.sum(axis=1))).astype(int)
        pruned = masks.copy()
        for row, n in enumerate(count):
            pruned[row, order[row, :n]] = False
        pruned = self.connected(pruned)
        return np.where(self.has_output(pruned)[:, None], pruned, masks)

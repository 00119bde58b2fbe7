"""The experts that each domain of an exported model uses, as its training noted them (AREAD, section 3.5)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from models.masks import MaskSpace
from pipeline.history import exported_epoch

MOST = 500  # domains compared pair by pair: a larger matrix is no picture any more


@dataclass(frozen=True)
class ExpertMasks:
    """The masks of an exported model, and the searches that led to them.

    Attributes:
        n_experts: experts on each level.
        epoch: the exported one.
        searches: all of the training, in order; perhaps none.
        exported: how many of them the exported model has seen.
        found: by domain, the note of the search that found the mask in use, or of the mask alone where a warm
            start brought it; a domain without one uses all experts.
    """

    n_experts: list[int]
    epoch: int
    searches: list[dict[str, Any]]
    exported: int
    found: dict[str, dict[str, Any]]

    @property
    def domains(self) -> list[str]:
        """The domains with a mask, those with most training rows first."""
        return list(self.found)

    @property
    def masks(self) -> np.ndarray:
        """The masks in use, bool `(domains, edges)`."""
        edges = MaskSpace(self.n_experts).edges
        rows = [[edge == "1" for edge in note["mask"]] for note in self.found.values()]
        return np.array(rows, bool).reshape(-1, edges)

    def use(self) -> list[np.ndarray]:
        """Return how much each domain uses each expert, on each level `(domains, N_l)`.

        That is the share of the edges leading to an expert that are in use; on the first level, of those
        leading away from it. An expert with none is not active.
        """
        levels = MaskSpace(self.n_experts).levels(self.masks)
        return [levels[0].mean(axis=2), *(level.mean(axis=1) for level in levels)]

    def figures(self) -> dict[str, Any]:
        """Return the figures for machines; experts and levels are counted from 1."""
        names, masks, use = self.domains, self.masks, self.use()
        compared = Comparison(names, masks)
        return {
            "n_experts": self.n_experts,
            "epoch": self.epoch,
            "step": self.searches[self.exported - 1]["step"] if self.exported else None,
            "domains": {
                name: {
                    "density": float(masks[row].mean().round(4)),
                    "active": [(np.flatnonzero(level[row]) + 1).tolist() for level in use],
                }
                for row, name in enumerate(names)
            },
            "order": compared.names,
            "overlap": compared.overlap.round(4).tolist(),
            "random_overlap": compared.random,
        }


class Comparison:
    """The masks of domains, pair by pair; of more than `MOST` domains, the first ones.

    Args:
        names: of the domains. masks: bool `(domains, edges)`, none of them empty.

    Attributes:
        tree: SciPy's linkage of the domains (average linkage over 1 - overlap); None for less than two.
        rows: the domains in the order of the tree's leaves. names: theirs.
        overlap: mask overlap ratios OR(M_d1, M_d2) = |M_d1 and M_d2| / |M_d1 or M_d2|, in that order.
        random: mean overlap to expect of two masks of these densities drawn at random, pq / (p + q - pq);
            None for less than two domains. Two of density 0.4 have the paper's 0.25.
    """

    def __init__(self, names: list[str], masks: np.ndarray):
        overlap = overlap_ratios(masks[:MOST])
        several = len(overlap) > 1
        self.tree = linkage(squareform(1 - overlap, checks=False), "average") if several else None
        self.rows = leaves_list(self.tree) if several else np.arange(len(overlap))
        self.names = [names[row] for row in self.rows]
        self.overlap = overlap[np.ix_(self.rows, self.rows)]
        self.random = None
        if several:
            p = masks[:MOST].mean(axis=1)
            both = np.outer(p, p)
            pairs = ~np.eye(len(p), dtype=bool)
            self.random = float((both / (p[:, None] + p - both))[pairs].mean().round(4))


def overlap_ratios(masks: np.ndarray) -> np.ndarray:
    """Return |M_d1 and M_d2| / |M_d1 or M_d2| of all pairs, `(domains, domains)` (AREAD, section 3.5).

    Args:
        masks: bool `(domains, edges)`, none of them empty.
    """
    edges = masks.astype("float64")
    both, size = edges @ edges.T, edges.sum(axis=1)
    return both / (size[:, None] + size - both)


def above_chosen(note: dict[str, Any]) -> tuple[float, float, float] | None:
    """Return how far the other candidates' log losses are above the chosen one's; None if there are none.

    Args:
        note: of a domain's search, in which a candidate was chosen.

    Returns:
        The smallest, the median and the largest difference.
    """
    others = np.array([loss for loss in note["others"] if loss is not None]) - note["chosen"]
    return (float(others.min()), float(np.median(others)), float(others.max())) if len(others) else None


def read(history: list[dict[str, Any]]) -> ExpertMasks | None:
    """Return the masks that a training's history tells of; None if its method looks for none.

    Args:
        history: what was measured in each epoch (see `HEMP.figures`).
    """
    if not any("searches" in row for row in history):
        return None
    noted = [(row["epoch"], search) for row in history for search in row["searches"]]
    epoch = exported_epoch(history)
    seen = [search for searched_in, search in noted if searched_in <= epoch]
    found = dict(history[0].get("begun_with", {}))
    for search in seen:
        found |= search["domains"]
    return ExpertMasks(
        n_experts=history[0]["n_experts"],
        epoch=epoch,
        searches=[search for _, search in noted],
        exported=len(seen),
        found=found,
    )

"""Domains whose loss is not finite: found, left out of the training from there on, and named."""

import warnings
from collections.abc import Iterable

import keras
import numpy as np

from models.backend.base import NAN, NonFiniteLossError, is_stored
from models.batches import domain_batches
from models.columns import Columns


class BadDomains:
    """The part of a learning method that leaves bad domains out, so that the others go on.

    It is a part of `LearningMethod`, whose `domains` and `name_of` it calls.

    Attributes:
        columns: the rows that are trained on. steps: the compiled primitives of the model.
        skipped: domains left out because their loss was not finite.
    """

    columns: Columns
    skipped: set[int]

    def unskipped(self, rows: np.ndarray) -> np.ndarray:
        """Return row numbers without those of skipped domains."""
        if not self.skipped:
            return rows
        return rows[~np.isin(self.columns.domain_of(rows), list(self.skipped))]

    def find_bad(self, rows: np.ndarray) -> bool:
        """Skip the domains whose loss on some rows is not finite; return whether there are any.

        Halves the domains until each bad one is found; the state is as before. If there is none, a warning
        says what is lost.
        """
        state = [(v, keras.ops.copy(v)) for v in self.steps.other if not is_stored(v)]
        domain_of = self.columns.domain_of(rows)

        def search(domains: np.ndarray) -> list[int]:
            own = domain_batches(0, rows[np.isin(domain_of, domains)], len(rows))
            if np.isfinite(self.steps.gradients(own.first(self.columns))[0]):
                return []
            if len(domains) == 1:
                return [int(domains[0])]
            half = len(domains) // 2
            return search(domains[:half]) + search(domains[half:])

        bad = search(np.unique(domain_of))
        for variable, value in state:
            variable.assign(value)
        self.skip(bad)
        if not bad:
            warnings.warn(
                "the loss of a batch became NaN or infinite, though that of no domain's rows in it is: its "
                f"{len(rows)} rows are left out of this epoch. Look for extreme numeric values.",
                RuntimeWarning,
                stacklevel=2,
            )
        return bool(bad)

    def finite_mean(self, losses: np.ndarray, domains: np.ndarray) -> float:
        """Return the mean of a chunk's finite losses, and skip the domains of the others."""
        finite = np.isfinite(losses)
        self.skip(domains[~finite])
        return float(losses[finite].mean()) if finite.any() else NAN

    def skip(self, domains: Iterable[int]) -> None:
        """Leave domains out from here on, and say so.

        Raises:
            NonFiniteLossError: most domains are skipped by now: it is not their rows.
        """
        for domain in {int(d) for d in domains} - self.skipped:
            self.skipped.add(domain)
            warnings.warn(
                f"the loss of {self.name_of(domain)!r} became NaN or infinite: the domain is left out of the "
                "training from here on. Look for extreme numeric values in its rows.",
                RuntimeWarning,
                stacklevel=2,
            )
        if len(self.skipped) > len(self.domains()) / 2:
            names = ", ".join(self.name_of(domain) for domain in sorted(self.skipped))
            raise NonFiniteLossError(
                f"the training loss became NaN or infinite in most domains ({names}); "
                "lower learning.learning_rate, and look for extreme numeric values in the log."
            )

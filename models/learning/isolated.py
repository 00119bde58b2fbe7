"""Isolated training: each domain's model sees its own rows only."""

from typing import Literal

import numpy as np

from models.domain_parameters import DomainParameters, SpecificSettings
from models.learning.finetune import Finetune
from models.registry import register


@register(kind="joint", paper="'Separate', MAMDR section 5.5: a model for each domain")
class Isolated(Finetune):
    """Every domain trains all parameters of its own, embeddings included, from the same random beginning.

    The unknown domain, which answers for domains never seen, is trained on rows drawn from all domains, as
    many as an average domain has. One stopping rule holds for all domains: the mean over the domains.

    Optimizer state: as in phase 2 of `Finetune`.
    """

    class Settings(SpecificSettings):
        """See `SpecificSettings`."""

        embeddings: Literal["shared", "sparse"] = "sparse"

    @classmethod
    def check_model(cls, model):
        """Check that no domains share weights in a group."""
        if model.domain_groups:
            raise ValueError(
                "isolated trains every domain by itself, but model.domain_groups lets domains share weights: "
                "leave one of them out."
            )

    def prepare(self, model):
        """Add the specific parameters to the model."""
        self.phase = 1  # there is no joint one before
        self.unknown = model.spec.n_domains
        self.parameters = DomainParameters(model, self.settings, self.arrays_of)
        return None

    def next_phase(self):
        """There is none."""
        return False

    def targets(self):
        """Return the domains, the unknown one last."""
        return [*self.known_domains(), self.unknown]

    def own_rows(self, domain: int):
        """Return a domain's rows; for the unknown one, always the same ones of all domains."""
        if domain != self.unknown:
            return super().own_rows(domain)
        count = max(1, self.columns.rows // max(1, len(self.domains())))
        return self.unskipped(self.generator().choice(self.columns.rows, count, replace=False))

    def arrays_of(self, domain: int) -> dict[str, np.ndarray]:
        """Return the inputs of a domain's rows, as rows of that domain."""
        rows = self.own_rows(domain)
        arrays = {name: array[rows] for name, array in self.columns.arrays.items()}
        return {**arrays, self.model.spec.domain: np.full(len(rows), domain)}

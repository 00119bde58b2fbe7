"""AREAD: hierarchical experts above a base recommender, of which each domain uses a part of its own."""

from typing import Any

import keras
from keras import ops
from pydantic import Field, model_validator

from models.architectures.base import MultiDomainModel
from models.layers.hierarchy import ExpertHierarchy
from models.registry import architectures_where, find, own_settings, register
from models.settings import ModelSettings
from schema.base import Settings


@register(kind="multi-domain", paper="AREAD (Luo et al., AAAI 2025), sections 2.3 and 2.6, Eq. 3-4, 6-9")
class AREAD(MultiDomainModel):
    """f(x, d) = Avg{sigma(e_{L,j})} over the outputs j that the mask of domain d uses.

    The experts e_{l,n} are those of `ExpertHierarchy`, above what the base recommender makes of a row. Until
    the masks are in use (from the first search of `hemp` on, or of the model that a warm start goes on from)
    the loss is that of the mean over all outputs (Eq. 6), then the sum of the losses of those in use (Eq. 8).

    The unknown domain's mask keeps all experts.
    """

    class Settings(Settings):
        """The base, and the experts above it.

        Attributes:
            base: architecture below the experts (see `fits_below`). base_settings: its own settings.
            n_experts: on each level. expert_units: on each level, the widths of an expert's layers.
            dropout: after every hidden layer of an expert; the paper names none.
        """

        base: str = "mmoe"
        base_settings: dict[str, Any] = Field(default_factory=dict)
        n_experts: tuple[int, ...] = Field((3, 6, 12), min_length=2)
        expert_units: tuple[tuple[int, ...], ...] = ((64, 32), (32, 16), (16, 8))
        dropout: float = 0.0

        @model_validator(mode="after")
        def _base_is_possible(self):
            entry = find("architectures", self.base)
            if not fits_below(entry.cls):
                fitting = architectures_where(fits_below)
                raise ValueError(f"{self.base} cannot be the base of aread; these can: {fitting}")
            own_settings(entry, self.base_settings)
            return self

        @model_validator(mode="after")
        def _has_units_for_each_level(self):
            if len(self.n_experts) != len(self.expert_units):
                raise ValueError(
                    f"n_experts has {len(self.n_experts)} levels, expert_units {len(self.expert_units)}"
                )
            return self

    represents_all = False  # the experts are above it

    def assemble(self, settings):
        """Make the base, without embedding and output of its own, and the experts."""
        entry = find("architectures", settings.base)
        # What is never called of the base, such as its towers, is never built and has no weights.
        names = tuple(map(str, range(self.n_domains - 1)))  # groups, perhaps, even more than domains
        self.base = entry.cls(
            self.spec.model_copy(update={"domains": names}),
            own_settings(entry, settings.base_settings),
            ModelSettings(architecture=settings.base, unknown_domain_share=0),
            plugins=self._plugins,
        )
        self.base.built = True  # which Keras would miss, and warn
        dim = self.embedding.dim
        self.experts = ExpertHierarchy(
            self.n_domains, settings.n_experts, settings.expert_units, dim, settings.dropout
        )
        self.masks_in_use = self.add_weight(
            name="masks_in_use", shape=(), dtype="bool", initializer="zeros", trainable=False
        )

    def logits(self, fields, domain, training):
        """Eq. 3-4: the experts' logits and which of them are in use, both `(batch, N_L)`."""
        return self.experts(self.represent(fields, domain, training), domain, training=training)

    def represent(self, fields, domain, training):
        """Return what the base makes of a row."""
        return self.base.represent(fields, domain, training)

    def row_losses(self, labels, outputs):
        """Return Eq. 6 of each row `(batch,)` in the warm-up, Eq. 8 with the masks in use."""
        return ops.where(self.masks_in_use, self.bagged(labels, outputs), self.averaged(labels, outputs))

    def averaged(self, labels, outputs):
        """Return the loss of the mean prediction, as in Eq. 6: `(...)` from labels `(...)` and outputs."""
        labels = ops.expand_dims(ops.cast(labels, outputs[0].dtype), -1)
        return keras.losses.binary_crossentropy(labels, ops.expand_dims(self.probabilities(outputs), -1))

    def bagged(self, labels, outputs):
        """Return the sum of the losses of the outputs in use (Eq. 8), so that each of them learns."""
        logits, in_use = outputs
        each = super().row_losses(ops.expand_dims(labels, -1), logits)
        return ops.sum(each * ops.cast(in_use, each.dtype), axis=-1)

    def probabilities(self, outputs):
        """Return the mean prediction of the outputs in use (Eq. 9), `(...)`."""
        logits, in_use = outputs
        in_use = ops.cast(in_use, logits.dtype)
        return ops.sum(ops.sigmoid(logits) * in_use, axis=-1) / ops.sum(in_use, axis=-1)


def fits_below(architecture: type[MultiDomainModel]) -> bool:
    """Return whether experts can stand above an architecture's `represent` without loss of its parts."""
    return architecture.represent is not MultiDomainModel.represent and architecture.represents_all

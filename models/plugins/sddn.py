"""Soft-partitioned Domain Differentiation Network (SSCTL)."""

from pydantic import Field

from models.layers.differentiation import Differentiated
from models.plugins.base import Plugin
from models.registry import architectures_where, find, register
from schema.base import Settings


@register(kind="plug-in", paper="SSCTL (Luo et al., 2025), section 3.3, Eq. 6-8")
class SDDN(Plugin):
    """Scales every layer of the shared networks by the row's domain and by its soft partition.

    e_d is the embedding of the row's domain; e_w = sum_j p_j E(F_d)_j that of the non-dominant domains,
    weighted by the classifier's p = C(x) (Eq. 6). C runs inside the model and is not trained with it. It
    reads embeddings of its own, those it was trained with, where the paper writes r_e.
    """

    class Settings(Settings):
        """Scales.

        Attributes:
            delta: largest scale (Eq. 7). hidden: width of the first layer of a differentiation network.
        """

        delta: float = Field(2.0, gt=0)
        hidden: int = Field(32, ge=1)

    needs_classifier = True

    def __init__(self, settings, model, classifier=None):
        super().__init__(settings, model, classifier)
        model.classifier = classifier  # so that it is exported with the model
        self._seen = None

    @classmethod
    def check_architecture(cls, architecture, settings):
        """Check that there are shared layers to scale.

        Raises:
            ValueError: there are none, or they cannot be scaled one by one; names the architectures that fit.
        """
        if not find("architectures", architecture).cls.scalable:
            fitting = architectures_where(lambda cls: cls.scalable)
            raise ValueError(
                f"sddn does not fit {architecture}, which has no layers for all domains that could be scaled "
                f"one by one; it fits {fitting}."
            )

    def part(self, role, layer):
        """Scale the layers of a shared network."""
        if role != "shared":
            return layer
        return Differentiated(layer, lambda: self._seen, self.settings.hidden, self.settings.delta)

    def see(self, inputs, fields):
        """Compute e_d and e_w of a batch (Eq. 6)."""
        p = self.model.classifier.probabilities(inputs)
        others = self.model.embedding.of_domains(self.model.classifier.classes)
        self._seen = fields[:, -1], p @ others

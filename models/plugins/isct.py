"""Instance Soft-partitioned Collaborative Training (SSCTL)."""

from keras import ops
from pydantic import Field

from models.layers.confidence import ConfidenceWeights
from models.plugins.base import Plugin
from models.pseudo import CONFIDENCE
from models.registry import register
from schema.base import Settings


@register(kind="plug-in", paper="SSCTL (Luo et al., 2025), section 3.2, Eq. 3-5")
class ISCT(Plugin):
    """Rows of the dominant domain count a second time, as rows of the domain that they look like most.

    Such a row keeps its click and counts lambda * w in the loss (Eq. 5), w by the confidence of its
    pseudo-domain (Eq. 4, `ConfidenceWeights`). They are made by the pipeline's PseudoLabeler, and join the
    training rows of any learning method, unless the classifier is no better than chance: their weights are 0
    then.
    """

    class Settings(Settings):
        """Weights of rows with a pseudo-domain.

        Attributes:
            lam: lambda of Eq. 5. momentum, n_sigma: see `ConfidenceWeights`.
        """

        lam: float = Field(0.7, ge=0)
        momentum: float = Field(0.999, ge=0, lt=1)
        n_sigma: float = Field(1.0, gt=0)

    needs_classifier = True

    def __init__(self, settings, model, classifier=None):
        super().__init__(settings, model, classifier)
        self.wants_pseudo = classifier.better_than_chance
        classes = len(classifier.classes)
        self._weights = ConfidenceWeights(
            classes, settings.momentum, settings.n_sigma, name="confidence_weights"
        )
        self._weights.build()
        model.confidence_weights = self._weights  # so that its state is the model's

    def weigh(self, losses, inputs):
        """Weigh the losses of rows with a pseudo-domain (Eq. 5), if the batch has such rows."""
        if CONFIDENCE not in inputs:
            return losses
        confidence = inputs[CONFIDENCE]
        pseudo = confidence > 0
        weights = self._weights(confidence, pseudo, training=True)
        return losses * ops.cast(ops.where(pseudo, self.settings.lam * weights, 1.0), losses.dtype)

"""Domain Feature Extraction and Personalized Integration (DFEI)."""

from keras import ops
from pydantic import Field

from models.architectures.base import flat
from models.layers.domain_features import DomainFeatureExtraction
from models.layers.personalized_integration import PersonalizedIntegration
from models.plugins.base import MOST, Plugin
from models.pseudo import CONFIDENCE
from models.registry import architectures_where, find, register
from schema.base import Settings


@register(kind="plug-in", paper="DFEI, section 3.2, Eq. 4-7")
class DFEI(Plugin):
    """The last layers read the feature v_d of the row's domain, and what z it takes from all domains.

    v_d is a running mean of the domain's own representation u (Eq. 4), z a sum of all domains' features that
    the row's embeddings e weigh (Eq. 5-6). A domain is one of the log, also where groups of them share
    weights.
    """

    class Settings(Settings):
        """Decay and width.

        Attributes:
            alpha: share of a feature that a batch leaves (Eq. 4). k: width of h_1, h_2, h_3 and z (Eq. 5-6).
        """

        alpha: float = Field(0.9, ge=0, le=1)
        k: int = Field(32, ge=1)

    def __init__(self, settings, model, classifier=None):
        super().__init__(settings, model, classifier)
        # They are the model's, so that their weights and states are.
        model.domain_features = DomainFeatureExtraction(model.spec.n_domains + 1, settings.alpha)
        model.integration = PersonalizedIntegration(settings.k)
        self._seen = None

    @classmethod
    def check_architecture(cls, architecture, settings):
        """Check that the last layers read a representation of the domain's own.

        Raises:
            ValueError: they do not; names the architectures whose do.
        """
        if not find("architectures", architecture).cls.enrichable:
            fitting = architectures_where(lambda cls: cls.enrichable)
            raise ValueError(
                f"dfei does not fit {architecture}, whose last layers read nothing of the domain's own; "
                f"it fits {fitting}."
            )

    def see(self, inputs, fields):
        """Keep e and the domains of a batch, and which rows are those domains' own."""
        own = inputs[CONFIDENCE] <= 0 if CONFIDENCE in inputs else None  # not those with a pseudo-domain
        self._seen = flat(fields), inputs[self.model.spec.domain], own

    def enrich(self, representation, specific, training):
        """Join v_d and z to what the last layers read (Eq. 7)."""
        e, domain, own = self._seen
        v, seen, v_d = self.model.domain_features(specific, domain, own, training=training)
        z = self.model.integration(e, v, seen)
        return ops.concatenate([representation, v_d, z], axis=1)

    def figures(self):
        """Return the features after an epoch, of the first domains only where there are more than `MOST`."""
        features = self.model.domain_features
        v, seen = (ops.convert_to_numpy(state) for state in (features.v, features.seen))
        named = enumerate(self.model.spec.domains[:MOST])
        shown = {name: [float(f"{value:.7g}") for value in v[i]] for i, name in named if seen[i]}
        return {"dfei": {"domains": shown}}

"""What a plug-in is: it changes an architecture's parts, sees each batch, and may weigh the rows' losses."""

from typing import Any

import keras

from schema.base import Settings


class Plugin:
    """A plug-in of one model; what is not overridden leaves the architecture as it is.

    Args:
        settings: the plug-in's own settings.
        model: the model, whose embedding is there already.
        classifier: the frozen `DomainClassifier`, if there is one.

    Raises:
        ValueError: the plug-in needs the domain classifier, and there is none.
    """

    class Settings(Settings):
        """A plug-in's own settings; the defaults are the paper's."""

    needs_classifier = False  # whether there must be a domain classifier
    wants_pseudo = False  # whether rows with a pseudo-domain join the training rows

    def __init__(self, settings: Any, model, classifier: keras.layers.Layer | None = None):
        self.check_classifier(classifier is not None)
        self.settings = settings
        self.model = model

    @classmethod
    def check_classifier(cls, given: bool) -> None:
        """Check that the domain classifier is given if the plug-in needs it.

        Raises:
            ValueError: it is not.
        """
        if cls.needs_classifier and not given:
            name = cls.__module__.rsplit(".", 1)[-1]
            raise ValueError(f"{name} needs the domain classifier: add classifier: {{}} to the config.")

    def part(self, role: str, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return the layer to use in a role; see `MultiDomainModel.part`."""
        return layer

    def see(self, inputs: dict, fields) -> None:
        """Look at a batch before the architecture computes it.

        Args:
            inputs: by name. fields: `(batch, fields + 1, dim)`, the domain last.
        """

    def weigh(self, losses, inputs: dict):
        """Return what the rows' losses `(batch,)` count in training."""
        return losses

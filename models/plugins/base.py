"""What a plug-in is: it changes an architecture's parts, sees each batch, and may weigh the rows' losses."""

from typing import Any

import keras

from schema.base import Settings

MOST = 1000  # domains of which each epoch's history keeps figures: more would be no picture any more


class Plugin:
    """A plug-in of one model; what is not overridden leaves the architecture as it is.

    Args:
        settings: the plug-in's own settings.
        model: the model, whose embedding is there already.
        classifier: the frozen `DomainClassifier`, if there is one.

    Raises:
        ValueError: the plug-in needs the domain classifier, and there is none, or it does not fit the model.
    """

    class Settings(Settings):
        """A plug-in's own settings; the defaults are the paper's."""

    needs_classifier = False  # whether there must be a domain classifier
    wants_pseudo = False  # whether rows with a pseudo-domain join the training rows

    def __init__(self, settings: Any, model, classifier: keras.layers.Layer | None = None):
        self.check_classifier(classifier is not None)
        self.check_architecture(model.name, settings)
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

    @classmethod
    def check_architecture(cls, architecture: str, settings: Any) -> None:
        """Check that the plug-in fits an architecture.

        Args:
            architecture: its name. settings: the plug-in's own.

        Raises:
            ValueError: it does not; says which ones it fits.
        """

    def part(self, role: str, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return the layer to use in a role; see `MultiDomainModel.part`."""
        return layer

    def see(self, inputs: dict, fields) -> None:
        """Look at a batch before the architecture computes it.

        Args:
            inputs: by name. fields: `(batch, fields + 1, dim)`, the domain last.
        """

    def fuse(self, specific, shared):
        """Return what an architecture's specific and shared representations of a row are in their fusion.

        Args:
            specific, shared: `(batch, ...)` each.
        """
        return specific, shared

    def enrich(self, representation, specific, training: bool):
        """Return what the last layers read, perhaps with something added.

        Args:
            representation: `(batch, width)`, what they would read. specific: the domain's part of it, of any
                width. training: whether states follow the batch.
        """
        return representation

    def weigh(self, losses, inputs: dict):
        """Return what the rows' losses `(batch,)` count in training."""
        return losses

    def epoch_begins(self) -> None:
        """Hear that an epoch begins, not that one goes on after a kill."""

    def reached(self, share: float) -> bool:
        """Hear how much of the training is done, again and again; return whether that changes anything.

        Args:
            share: of `learning.epochs`; 1 when the training would end for want of a better epoch, and in
                whatever comes after that. If it changes something then, the training goes on from its best
                epoch.
        """
        return False

    def figures(self) -> dict:
        """Return what the plug-in says about the epoch just trained, as plain values for the history."""
        return {}

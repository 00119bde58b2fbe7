"""What a plug-in is: it changes an architecture's parts, sees each batch, and may weigh the rows' losses."""

from typing import Any

import keras

from schema.base import Settings


class Plugin:
    """A plug-in of one model; what is not overridden leaves the architecture as it is.

    Args:
        settings: the plug-in's own settings.
        model: the model, whose embedding and classifier are there already.

    Raises:
        ValueError: the model lacks what the plug-in needs.
    """

    class Settings(Settings):
        """A plug-in's own settings; the defaults are the paper's."""

    wants_pseudo = False  # whether rows with a pseudo-domain join the training rows

    def __init__(self, settings: Any, model):
        self.settings = settings
        self.model = model

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

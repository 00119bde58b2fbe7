"""What every architecture shares: the embedded fields, the domain index, the loss of a row."""

from typing import Any

import keras
from keras import ops

from models.features import FeatureSpec
from models.layers.embedding import FieldEmbedding
from models.registry import find, own_settings
from models.settings import ModelSettings
from schema.base import Settings


class MultiDomainModel(keras.Model):
    """A click model of many domains.

    A subclass is one architecture: it makes its parts in `assemble` and combines them in `logits`.

    Args:
        spec: the model's inputs.
        settings: the architecture's own settings.
        model: what the config says of every model.
        embedding_l2: see `FieldEmbedding`.
    """

    class Settings(Settings):
        """An architecture's own settings; the defaults are the paper's."""

    def __init__(self, spec: FeatureSpec, settings: Any, model: ModelSettings, embedding_l2: float = 0.0):
        super().__init__(name=model.architecture)
        self.spec = spec
        self.settings = settings
        self.n_domains = spec.n_domains + 1  # the unknown domain included
        self.embedding = FieldEmbedding(spec, model.embedding_dim, embedding_l2)
        self._hidden_share = model.unknown_domain_share
        self._hide = keras.random.SeedGenerator()
        self._plugins = [find("plugins", name).cls() for name in model.plugins]
        self.assemble(settings)

    def assemble(self, settings: Any) -> None:
        """Make the parts of the architecture."""
        raise NotImplementedError

    def logits(self, fields, domain, training: bool):
        """Combine the parts.

        Args:
            fields: `(batch, fields + 1, dim)`, the domain last. domain: indices `(batch,)`.
            training: whether dropout and the like are active.

        Returns:
            What `row_losses` and `probabilities` understand; logits `(batch,)` unless those are overridden.
        """
        raise NotImplementedError

    def part(self, role: str, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return the layer to use in a role, as the plug-ins leave it.

        Args:
            role: `shared` (work for all domains), `gate` or `tower` (work for one domain).
            layer: what the architecture would use by itself.
        """
        for plugin in self._plugins:
            layer = plugin.part(role, layer)
        return layer

    def call(self, inputs: dict, training: bool = False):
        """Map inputs by name (see `FieldEmbedding.call`) to `logits`."""
        domain = ops.cast(inputs[self.spec.domain], "int32")
        if training and self._hidden_share:
            hidden = keras.random.uniform(ops.shape(domain), seed=self._hide) < self._hidden_share
            domain = ops.where(hidden, self.spec.n_domains, domain)
        fields = self.embedding({**inputs, self.spec.domain: domain})
        return self.logits(fields, domain, training)

    def row_losses(self, labels, outputs):
        """Return the log loss of each row, `(batch,)`, from labels `(batch,)` and the outputs of `call`."""
        labels = ops.cast(labels, outputs.dtype)
        return ops.relu(outputs) - outputs * labels + ops.softplus(-ops.abs(outputs))

    def probabilities(self, outputs):
        """Return the click probability of each row, `(batch,)`, from the outputs of `call`."""
        return ops.sigmoid(outputs)


def flat(fields):
    """Join the fields' embeddings: `(batch, fields, dim)` to `(batch, fields * dim)`."""
    return ops.reshape(fields, (-1, fields.shape[1] * fields.shape[2]))


def create_model(spec: FeatureSpec, model: ModelSettings, embedding_l2: float = 0.0) -> MultiDomainModel:
    """Build the model of a config, with all of its weights.

    Raises:
        ValueError: unknown architecture, plug-in or setting.
    """
    entry = find("architectures", model.architecture)
    built = entry.cls(spec, own_settings(entry, model.settings), model, embedding_l2)
    built(example_inputs(spec))
    return built


def example_inputs(spec: FeatureSpec, rows: int = 1) -> dict:
    """Return inputs of the right names, shapes and types: index 0 everywhere."""
    inputs = {spec.domain: ops.zeros((rows,), "int32")}
    for field in spec.fields:
        shape = (rows, field.length) if field.kind == "sequence" else (rows,)
        inputs[field.name] = ops.zeros(shape, "float32" if field.kind == "numeric" else "int32")
    return inputs

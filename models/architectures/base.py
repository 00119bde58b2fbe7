"""What every architecture shares: the embedded fields, the domain index, the loss of a row."""

from typing import Any

import keras
from keras import ops

from models.backend.by_domain import by_domain
from models.features import FeatureSpec
from models.layers.embedding import FieldEmbedding
from models.layers.specific import MISSING, SpecificParameters
from models.registry import find, own_settings, plugins_of
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
        classifier: the frozen `DomainClassifier`, for plug-ins that need it.
        plugins: those to use instead of the config's, of a model that this one is the base of.
    """

    class Settings(Settings):
        """An architecture's own settings; the defaults are the paper's."""

    built_in: tuple[str, ...] = ()  # plug-ins that are a part of the architecture
    replaceable = True  # whether other values can take the place of the weights for one call
    enrichable = False  # whether it calls `enrich`
    scalable = True  # whether it has parts for all domains, and the layers of each can be scaled one by one
    represents_all = True  # whether `represent`, where there is one, leaves out the last layers alone

    def __init__(
        self,
        spec: FeatureSpec,
        settings: Any,
        model: ModelSettings,
        embedding_l2: float = 0.0,
        classifier: keras.layers.Layer | None = None,
        plugins: list | None = None,
    ):
        super().__init__(name=model.architecture)
        self.spec = spec
        self.settings = settings
        self.model_settings = model
        self.n_domains = (model.domain_groups or spec.n_domains) + 1  # the unknown domain included
        self.domain_group = None
        if model.domain_groups:
            self.domain_group = self.add_weight(
                name="domain_group",
                shape=(spec.n_domains + 1,),
                dtype="int32",
                initializer="zeros",
                trainable=False,
            )
        self.embedding = self.make_embedding(model.embedding_dim, embedding_l2)
        self._hidden_share = model.unknown_domain_share
        self._hide = keras.random.SeedGenerator()
        self.linear = None
        self.domain_parameters = SpecificParameters()  # what each domain adds to the shared ones, if anything
        self._plugins = self._make_plugins(model, classifier) if plugins is None else plugins
        self.assemble(settings)

    def _make_plugins(self, model: ModelSettings, classifier: keras.layers.Layer | None) -> list:
        own = model.plugin_settings
        return [
            entry.cls(own_settings(entry, own.get(entry.name, {})), self, classifier)
            for entry in plugins_of(type(self), model)
        ]

    def make_embedding(self, dim: int, l2: float) -> FieldEmbedding:
        """Return the layer that embeds the fields; see `FieldEmbedding` for the arguments."""
        return FieldEmbedding(self.spec, dim, l2)

    def assemble(self, settings: Any) -> None:
        """Make the parts of the architecture."""
        raise NotImplementedError

    def add_linear_term(self) -> None:
        """Add sum_i w_i x_i over all fields to the logit: the "wide" or first-order part."""
        self.linear = FieldEmbedding(self.spec, 1)

    def of_groups(self, fields, *groups: str):
        """Return the fields of some feature groups.

        Args:
            fields: `(batch, fields + 1, dim)`, the domain last. groups: of `general`, `context`, `domain`.

        Returns:
            `(batch, fields of these groups, dim)`; the domain itself is of the group `domain`. With no field
            in these groups, the domain alone.
        """
        last = len(self.spec.fields)
        chosen = [i for i, field in enumerate(self.spec.fields) if field.group in groups]
        if "domain" in groups or not chosen:
            chosen.append(last)
        return fields if len(chosen) == last + 1 else ops.take(fields, chosen, axis=1)

    def logits(self, fields, domain, training: bool):
        """Combine the parts.

        Args:
            fields: `(batch, fields + 1, dim)`, the domain last. domain: indices `(batch,)`.
            training: whether dropout and the like are active.

        Returns:
            What `row_losses` and `probabilities` understand; logits `(batch,)` unless those are overridden.
        """
        raise NotImplementedError

    def represent(self, fields, domain, training: bool):
        """Return what the last layers read, `(batch, width)`, in architectures that can be another's base.

        See `logits` for the arguments.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be the base of another architecture.")

    def part(self, role: str, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return the layer to use in a role, as the plug-ins leave it.

        Args:
            role: `shared` (work for all domains), `gate`, `tower` (work for one domain), or `scenario` (what
                learns the domains' own knowledge, where a tower alone does not).
            layer: what the architecture would use by itself.
        """
        for plugin in self._plugins:
            layer = plugin.part(role, layer)
        return layer

    def fuse(self, specific, shared):
        """Return the domain's and the shared representation `(batch, ...)` as the plug-ins leave them."""
        for plugin in self._plugins:
            specific, shared = plugin.fuse(specific, shared)
        return specific, shared

    def enrich(self, representation, specific, training: bool):
        """Return what the last layers read, `(batch, width)`, with what the plug-ins add.

        Args:
            representation: `(batch, width)`. specific: the domain's part of it. training: see `logits`.
        """
        for plugin in self._plugins:
            representation = plugin.enrich(representation, specific, training)
        return representation

    def call(self, inputs: dict, training: bool = False):
        """Map inputs by name (see `FieldEmbedding.call`) to `logits`.

        A domain index that is none, such as -1, is read as the unknown domain.
        """
        domain = ops.cast(inputs[self.spec.domain], "int32")
        known = ops.logical_and(domain >= 0, domain < self.spec.n_domains)
        domain = ops.where(known, domain, self.spec.n_domains)
        if training and self._hidden_share:
            hidden = keras.random.uniform(ops.shape(domain), seed=self._hide) < self._hidden_share
            acting = self.domain_parameters.acting
            if acting is not None:  # a domain that trains by itself moves nothing of the unknown domain's
                hidden = ops.logical_and(hidden, acting.value == MISSING)
            domain = ops.where(hidden, self.spec.n_domains, domain)
        inputs = {**inputs, self.spec.domain: domain}
        if training or not self.domain_parameters.of:  # in training they are swapped in
            return self._outputs(inputs, training)
        return by_domain(
            lambda rows: self._outputs(rows, False), inputs, domain, self.domain_parameters, self.variables
        )

    def embed(self, inputs: dict):
        """Return the fields, and the domains or their groups, that `logits` and `represent` read next."""
        domain = inputs[self.spec.domain]
        own = domain if self.domain_group is None else ops.take(self.domain_group, domain)
        fields = self.embedding(inputs, own)
        for plugin in self._plugins:
            plugin.see(inputs, fields)
        return fields, own

    def _outputs(self, inputs: dict, training: bool):
        outputs = self.logits(*self.embed(inputs), training)
        return outputs if self.linear is None else outputs + ops.sum(self.linear(inputs), axis=(1, 2))

    def row_losses(self, labels, outputs):
        """Return the log loss of each row, `(batch,)`, from labels `(batch,)` and the outputs of `call`."""
        labels = ops.cast(labels, outputs.dtype)
        return ops.relu(outputs) - outputs * labels + ops.softplus(-ops.abs(outputs))

    @property
    def wants_pseudo(self) -> bool:
        """Whether rows with a pseudo-domain join the training rows."""
        return any(plugin.wants_pseudo for plugin in self._plugins)

    @property
    def reads_classifier(self) -> bool:
        """Whether a plug-in reads the domain classifier or what it says of the rows."""
        return any(plugin.needs_classifier for plugin in self._plugins)

    def weigh(self, losses, inputs: dict):
        """Return what the rows' losses `(batch,)` count in training, as the plug-ins have it."""
        for plugin in self._plugins:
            losses = plugin.weigh(losses, inputs)
        return losses

    def epoch_begins(self) -> None:
        """Tell the plug-ins that an epoch begins."""
        for plugin in self._plugins:
            plugin.epoch_begins()

    def reached(self, share: float) -> bool:
        """Tell the plug-ins how much of the training is done; return whether that changes anything."""
        changes = [plugin.reached(share) for plugin in self._plugins]  # all of them hear it
        return any(changes)

    def figures(self) -> dict:
        """Return what the plug-ins say about the epoch just trained."""
        return {name: value for plugin in self._plugins for name, value in plugin.figures().items()}

    def probabilities(self, outputs):
        """Return the click probability of each row, `(batch,)`, from the outputs of `call`."""
        return ops.sigmoid(outputs)


def flat(fields):
    """Join the fields' embeddings: `(batch, fields, dim)` to `(batch, fields * dim)`."""
    return ops.reshape(fields, (-1, fields.shape[1] * fields.shape[2]))


def create_model(
    spec: FeatureSpec,
    model: ModelSettings,
    embedding_l2: float = 0.0,
    classifier: keras.layers.Layer | None = None,
) -> MultiDomainModel:
    """Build the model of a config, with all of its weights; see `MultiDomainModel` for the arguments.

    Raises:
        ValueError: unknown architecture, plug-in or setting.
    """
    entry = find("architectures", model.architecture)
    built = entry.cls(spec, own_settings(entry, model.settings), model, embedding_l2, classifier)
    inputs = example_inputs(spec).items()
    # By shapes alone, so that nothing is computed.
    built({name: keras.KerasTensor(value.shape, value.dtype) for name, value in inputs})
    return built


def example_inputs(spec: FeatureSpec, rows: int = 1) -> dict:
    """Return inputs of the right names, shapes and types: index 0 everywhere."""
    inputs = {spec.domain: ops.zeros((rows,), "int32")}
    for field in spec.fields:
        shape = (rows, field.length) if field.kind == "sequence" else (rows,)
        inputs[field.name] = ops.zeros(shape, "float32" if field.kind == "numeric" else "int32")
    return inputs

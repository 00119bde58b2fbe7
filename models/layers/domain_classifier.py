"""The classifier C of SSCTL: which of the smaller domains a row looks like."""

from collections.abc import Sequence

import keras
from keras import ops

from models.features import FeatureSpec
from models.layers.embedding import FieldEmbedding
from models.layers.mlp import MLP

GROUPS = ("general", "context")  # of the fields that C reads


@keras.saving.register_keras_serializable("mdr")
class DomainClassifier(keras.layers.Layer):
    """Tells the non-dominant domains apart by general and context fields: p = C(x) (SSCTL, Eq. 3).

    It has embeddings of its own, and reads neither the domain nor a field that describes it.

    Args:
        spec: the inputs of the model that p is for.
        dominant: indices of the dominant domains. units: width of each hidden layer. dim: of an embedding.

    Attributes:
        classes: the non-dominant domains' indices, in the order of p.
        better_than_chance: False if it was found to be no better than naming the largest one each time.

    Raises:
        ValueError: no field to read, or no domain to tell.
    """

    def __init__(self, spec: FeatureSpec, dominant: Sequence[int], units: Sequence[int], dim: int, **kwargs):
        super().__init__(**kwargs)
        self.spec = FeatureSpec.model_validate(spec)
        self.dominant = tuple(dominant)
        self.units = tuple(units)
        self.dim = dim
        self.better_than_chance = True
        self.classes = tuple(d for d in range(self.spec.n_domains) if d not in self.dominant)
        fields = tuple(field for field in self.spec.fields if field.group in GROUPS)
        if not fields:
            raise ValueError(f"the domain classifier reads fields of the groups {GROUPS}; there are none.")
        if not self.classes:
            raise ValueError("every domain is dominant: the domain classifier has none to tell apart.")
        read = self.spec.model_copy(update={"fields": fields})
        self._width = len(fields) * dim
        self.embedding = FieldEmbedding(read, dim, with_domain=False)
        self.hidden = MLP(self.units)
        self.last = keras.layers.Dense(len(self.classes))

    def build(self, inputs_shape):
        self.embedding.build(inputs_shape)
        self.hidden.build((None, self._width))
        self.last.build(self.hidden.compute_output_shape((None, self._width)))
        self.built = True

    def call(self, inputs: dict):
        """Map inputs by name (see `FieldEmbedding.call`) to logits `(batch, classes)`."""
        fields = self.embedding(inputs)
        return self.last(self.hidden(ops.reshape(fields, (-1, self._width))))

    def probabilities(self, inputs: dict):
        """Return p, the chance of each non-dominant domain, `(batch, classes)`."""
        return ops.exp(ops.log_softmax(self(inputs), axis=-1))  # `softmax` warns where there is one class

    def compute_output_shape(self, inputs_shape):
        return (next(iter(inputs_shape.values()))[0], len(self.classes))

    def get_config(self):
        spec = self.spec.model_dump(mode="json")
        config = {"spec": spec, "dominant": self.dominant, "units": self.units, "dim": self.dim}
        return {**super().get_config(), **config}

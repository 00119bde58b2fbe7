"""The baseline of TensorFlow Recommenders: its cross layers, and its Ranking task for the loss."""

from keras import ops

from models.architectures.base import MultiDomainModel, flat
from models.registry import register
from schema.base import Settings


@register(
    kind="single-domain",
    paper="tensorflow_recommenders, layers.dcn.Cross and tasks.Ranking (DCN V2, Wang et al., WWW 2021)",
    backends=("tensorflow",),
)
class TfrsDcn(MultiDomainModel):
    """Cross layers of TFRS, then dense layers; the domain is one more field.

    TFRS is written for Keras 2. Its layers keep their own `tf.Variable`s, and a Keras 3 variable stands for
    each, so that training, saving and export know no difference; but no other values can take their place.
    """

    replaceable = False
    scalable = False

    class Settings(Settings):
        """Widths.

        Attributes:
            n_layers: cross layers. units: hidden layers after them.
        """

        n_layers: int = 3
        units: tuple[int, ...] = (256, 128, 64)

    def assemble(self, settings):
        """Make the legacy layers and their stand-ins."""
        import tensorflow_recommenders as tfrs
        import tf_keras

        width = (len(self.spec.fields) + 1) * self.embedding.dim
        cross_in = tf_keras.Input((width,))
        x = cross_in
        for _ in range(settings.n_layers):
            x = tfrs.layers.dcn.Cross()(cross_in, x)
        for units in settings.units:
            x = tf_keras.layers.Dense(units, activation="relu")(x)
        self._legacy = tf_keras.Model(cross_in, tf_keras.layers.Dense(1)(x))
        self._task = tfrs.tasks.Ranking(
            tf_keras.losses.BinaryCrossentropy(from_logits=True, reduction="none"), name="ranking"
        )
        for i, own in enumerate(self._legacy.trainable_variables):
            weight = self.add_weight(name=f"legacy_{i}", shape=tuple(own.shape), initializer="zeros")
            weight._value = own

    @property
    def legacy_multiply_adds(self) -> int:
        """Multiply-adds per row of the legacy layers, which `describe` cannot see: a kernel's values."""
        return sum(int(own.shape.num_elements()) for own in self._legacy.weights if own.shape.rank == 2)

    def logits(self, fields, domain, training):
        """Cross layers, dense layers, one logit."""
        return ops.squeeze(self._legacy(ops.cast(flat(fields), "float32"), training=training), 1)

    def row_losses(self, labels, outputs):
        """Return what the Ranking task says of each row, `(batch,)`."""
        labels = ops.expand_dims(ops.cast(labels, outputs.dtype), 1)
        return self._task(labels, ops.expand_dims(outputs, 1))

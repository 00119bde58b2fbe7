"""The primitives of training on the TensorFlow backend."""

import numpy as np
import tensorflow as tf

from models.backend.base import BaseSteps, split_batch
from models.backend.rows import is_large


class Steps(BaseSteps):
    """Compiled steps; see `BaseSteps` for the state."""

    def __init__(self, model, optimizer):
        super().__init__(model, optimizer)
        self._compiled_train = tf.function(self._train_chunk, reduce_retracing=True)
        self._compiled_gradients = tf.function(self._loss_and_gradients, reduce_retracing=True)
        self._compiled_predict = tf.function(self._predict, reduce_retracing=True)

    def tensors(self, arrays: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
        """Hand arrays over to the backend."""
        return {name: tf.convert_to_tensor(array) for name, array in arrays.items()}

    def train(self, chunk: dict[str, np.ndarray]) -> np.ndarray:
        """Take one optimizer step per batch of a chunk.

        Args:
            chunk: `(steps, batch, ...)` by input name, with the labels under `label` and, if rows weigh
                differently, their weights under `weight`.

        Returns:
            The loss before each step, `(steps,)`.

        Raises:
            NonFiniteLossError: a loss is NaN or infinite.
        """
        return self._check(self._compiled_train(self.tensors(chunk)).numpy())

    def gradients(self, batch: dict[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
        """Return the loss of one batch and its gradients, one array per trainable weight."""
        loss, gradients = self._compiled_gradients(self.tensors(batch))
        return float(self._check(loss.numpy()[None])[0]), [
            tf.convert_to_tensor(gradient).numpy() for gradient in gradients
        ]

    def apply(self, gradients: list[np.ndarray]) -> None:
        """Take one optimizer step along given gradients."""
        self.optimizer.apply(
            [tf.convert_to_tensor(gradient) for gradient in gradients], self.model.trainable_variables
        )

    def predict(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return the click probabilities of a batch, `(batch,)`."""
        return self._compiled_predict(self.tensors(inputs)).numpy()

    def _predict(self, inputs):
        return self.model.probabilities(self.model(inputs, training=False))

    def _train_chunk(self, chunk):
        steps = tf.shape(chunk["label"])[0]
        losses = tf.TensorArray(tf.float32, size=steps)
        for step in tf.range(steps):
            loss, gradients = self._loss_and_gradients({name: rows[step] for name, rows in chunk.items()})
            self.optimizer.apply(gradients, self.model.trainable_variables)
            losses = losses.write(step, loss)
        return losses.stack()

    def _loss_and_gradients(self, batch):
        inputs, labels, weights = split_batch(batch)
        with tf.GradientTape() as tape:
            losses = self.model.row_losses(labels, self.model(inputs, training=True))
            loss = tf.reduce_mean(losses if weights is None else losses * weights)
            loss += sum(self.model.losses)
        variables = [variable.value for variable in self.model.trainable_variables]
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.cast(loss, tf.float32), [
            sum_slices(gradient) if is_large(variable) else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(gradients, self.model.trainable_variables, strict=True)
        ]


def sum_slices(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    """Return a gradient that comes as slices with one slice per row."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, which = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, which, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)

"""The primitives of training on the JAX backend."""

import jax
import jax.numpy as jnp
import numpy as np

from models.backend.base import BaseSteps, split_batch


class Steps(BaseSteps):
    """Compiled steps; see `BaseSteps` for the state."""

    def __init__(self, model, optimizer):
        super().__init__(model, optimizer)
        self._compiled_train = jax.jit(self._train_chunk)
        self._compiled_gradients = jax.jit(self._loss_and_gradients)
        self._compiled_predict = jax.jit(self._predict)

    def tensors(self, arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """Hand arrays over to the backend."""
        return {name: jnp.asarray(array) for name, array in arrays.items()}

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
        state = (*self._model_state(), [variable.value for variable in self.optimizer.variables])
        state, losses = self._compiled_train(state, chunk)
        _assign(self.model.trainable_variables, state[0])
        _assign(self.model.non_trainable_variables, state[1])
        _assign(self.optimizer.variables, state[2])
        return self._check(np.asarray(losses))

    def gradients(self, batch: dict[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
        """Return the loss of one batch and its gradients, one array per trainable weight."""
        (loss, state), gradients = self._compiled_gradients(*self._model_state(), batch)
        _assign(self.model.non_trainable_variables, state)
        loss = self._check(np.asarray(loss)[None])[0]
        return float(loss), [np.asarray(gradient) for gradient in gradients]

    def apply(self, gradients: list[np.ndarray]) -> None:
        """Take one optimizer step along given gradients."""
        self.optimizer.apply([jnp.asarray(g) for g in gradients], self.model.trainable_variables)

    def predict(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return the click probabilities of a batch, `(batch,)`."""
        return np.asarray(self._compiled_predict(*self._model_state(), inputs))

    def _model_state(self):
        return (
            [variable.value for variable in self.model.trainable_variables],
            [variable.value for variable in self.model.non_trainable_variables],
        )

    def _predict(self, trainable, other, inputs):
        outputs, _ = self.model.stateless_call(trainable, other, inputs, training=False)
        return self.model.probabilities(outputs)

    def _train_chunk(self, state, chunk):
        def step(state, batch):
            trainable, other, slots = state
            (loss, other), gradients = self._loss_and_gradients(trainable, other, batch)
            trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
            return (trainable, other, slots), loss

        return jax.lax.scan(step, state, chunk)

    def _loss_and_gradients(self, trainable, other, batch):
        inputs, labels, weights = split_batch(batch)

        def loss_of(trainable):
            outputs, new_other, extra = self.model.stateless_call(
                trainable, other, inputs, training=True, return_losses=True
            )
            losses = self.model.row_losses(labels, outputs)
            loss = jnp.mean(losses if weights is None else losses * weights) + sum(extra)
            return loss.astype("float32"), new_other

        return jax.value_and_grad(loss_of, has_aux=True)(trainable)


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

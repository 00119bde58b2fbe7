"""What the primitives of all backends share: the state of a training, and moving it about."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

LABEL = "label"  # key of the labels in a batch
NAN = float("nan")
WEIGHT = "weight"  # key of the rows' weights in a batch; absent, every row weighs 1


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite."""


class MeanLoss(keras.layers.Layer):
    """The usual objective: the mean of the rows' losses."""

    def call(self, losses, domain):
        """Map the losses and domains of a batch, both `(batch,)`, to a scalar."""
        return ops.mean(losses)


class BaseSteps:
    """The state of a training and what can be done with it, apart from computing gradients.

    The state is everything that a step changes: trainable weights, non-trainable state (running means, random
    seeds), what the objective learns, and the optimizer's slots and step count.

    Args:
        model: a built `MultiDomainModel`.
        optimizer: a Keras optimizer; its slots are made here.
        objective: a built layer that maps the losses and domains of a batch to what is minimized; its weights
            are trained with the model's. None takes the mean.
    """

    def __init__(self, model, optimizer, objective: keras.layers.Layer | None = None):
        self.model = model
        self.optimizer = optimizer
        self.objective = objective or MeanLoss()
        self.trainable = [*model.trainable_variables, *self.objective.trainable_variables]
        self.other = [*model.non_trainable_variables, *self.objective.non_trainable_variables]
        optimizer.build(self.trainable)
        self._variables = [*model.variables, *self.objective.variables, *optimizer.variables]

    @property
    def running(self) -> list[keras.Variable]:
        """State that follows the batches, such as running means; not random seeds, nor stored parameters."""
        return [v for v in self.other if keras.backend.is_float_dtype(v.dtype) and not is_stored(v)]

    def snapshot(self) -> list[np.ndarray]:
        """Return a copy of the whole state: the model's variables, the objective's, the optimizer's."""
        return [np.array(variable.numpy()) for variable in self._variables]

    def restore(self, snapshot: list[np.ndarray]) -> None:
        """Set the whole state back to a snapshot, bit for bit.

        Raises:
            ValueError: the snapshot is of another model.
        """
        shapes = [tuple(array.shape) for array in snapshot]
        if shapes != [tuple(variable.shape) for variable in self._variables]:
            raise ValueError(f"the snapshot is of another model: it holds {len(shapes)} arrays.")
        for variable, array in zip(self._variables, snapshot, strict=True):
            variable.assign(array)

    def weights(self) -> list:
        """Return a copy of the trainable weights, on the device."""
        return [ops.copy(variable) for variable in self.trainable]

    def move(self, origin: Sequence, rate: float) -> None:
        """Set the trainable weights to `origin + rate * (weights - origin)`.

        This is the outer step of Reptile and DN (MAMDR, Eq. 4); non-trainable state and the optimizer's slots
        stay as the inner steps left them.

        Args:
            origin: trainable weights, as `weights` returned them.
            rate: the outer learning rate.
        """
        for variable, start in zip(self.trainable, origin, strict=True):
            variable.assign(start + rate * (variable - start))


def store(variable: keras.Variable) -> keras.Variable:
    """Mark a variable that holds parameters for later, which no batch changes by itself; return it."""
    variable.is_stored = True
    return variable


def is_stored(variable: keras.Variable) -> bool:
    """Return whether a variable is marked by `store`."""
    return getattr(variable, "is_stored", False)


def split_batch(batch: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """Return a batch's inputs, labels and row weights (None where all weigh the same)."""
    inputs = dict(batch)
    return inputs, inputs.pop(LABEL), inputs.pop(WEIGHT, None)

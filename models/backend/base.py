"""What the primitives of all backends share: the state of a training, and moving it about."""

from typing import Any

import numpy as np

LABEL = "label"  # key of the labels in a batch
WEIGHT = "weight"  # key of the rows' weights in a batch; absent, every row weighs 1


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the state holds weights that must not be used."""


class BaseSteps:
    """The state of a training and what can be done with it, apart from computing gradients.

    The state is everything that a step changes: trainable weights, non-trainable state (running means, random
    seeds) and the optimizer's slots and step count.

    Args:
        model: a built `MultiDomainModel`.
        optimizer: a Keras optimizer; its slots are made here.
    """

    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        optimizer.build(model.trainable_variables)
        self._variables = [*model.variables, *optimizer.variables]

    def snapshot(self) -> list[np.ndarray]:
        """Return a copy of the whole state: the model's variables, then the optimizer's."""
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

    def weights(self) -> list[np.ndarray]:
        """Return a copy of the trainable weights."""
        return [np.array(variable.numpy()) for variable in self.model.trainable_variables]

    def move(self, origin: list[np.ndarray], rate: float) -> None:
        """Set the trainable weights to `origin + rate * (weights - origin)`.

        This is the outer step of Reptile, DN and DR (MAMDR, Eq. 3); non-trainable state and the optimizer's
        slots stay as the inner steps left them.

        Args:
            origin: trainable weights, as `weights` returned them.
            rate: the outer learning rate.
        """
        for variable, start in zip(self.model.trainable_variables, origin, strict=True):
            variable.assign(start + rate * (variable.numpy() - start))

    def _check(self, losses: np.ndarray) -> np.ndarray:
        if not np.all(np.isfinite(losses)):
            step = int(np.argmin(np.isfinite(losses)))
            raise NonFiniteLossError(
                f"the training loss became {losses[step]} at step {step + 1} of {len(losses)} of this chunk; "
                "lower learning.learning_rate, and look for extreme numeric values in the log."
            )
        return losses


def split_batch(batch: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """Return a batch's inputs, labels and row weights (None where all weigh the same)."""
    inputs = dict(batch)
    return inputs, inputs.pop(LABEL), inputs.pop(WEIGHT, None)

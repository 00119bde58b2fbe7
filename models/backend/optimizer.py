"""Adam that leaves the rows alone which a batch has nothing to say about."""

from collections.abc import Iterable

import keras
from keras import ops

from models.backend.rows import take_rows, write_rows


@keras.saving.register_keras_serializable("mdr")
class RowAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba, ICLR 2015) in which a row without a gradient keeps its weights and its moments.

    It differs from Adam for variables marked by `move_by_row` only: there Adam would go on moving the row of
    a user, or the weights of a domain, by the momentum of its last batch, and every step would cost as much
    as all users and domains together. Bias correction counts all steps.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Move one variable; `gradient` may come as slices with one slice per row (TensorFlow)."""
        index = self._get_variable_index(variable)
        marked = self._trainable_variables[index]  # `variable` may be the backend's own
        learning_rate = learning_rate * getattr(marked, "rate_factor", 1.0)
        if not getattr(marked, "moves_by_row", False):
            super().update_step(gradient, variable, learning_rate)
            return
        state, step = (marked, *self.moments(marked)), self.iterations + 1
        rows = getattr(gradient, "indices", None)
        if rows is None:
            for kept, new in zip(state, self.moved(gradient, *state, learning_rate, step), strict=True):
                self.assign(kept, new)
            return
        current = [take_rows(kept, rows) for kept in state]
        for kept, new in zip(state, self.moved(gradient.values, *current, learning_rate, step), strict=True):
            write_rows(kept, rows, new)

    def moments(self, variable: keras.Variable) -> tuple[keras.Variable, keras.Variable]:
        """Return the slots of a variable: the means of its gradients and of their squares."""
        index = self._get_variable_index(variable)
        return self._momentums[index], self._velocities[index]

    def reset(self, variables: Iterable[keras.Variable]) -> None:
        """Set the moments of some variables, and the count of steps that corrects their bias, to zero."""
        self.iterations.assign(0)
        for variable in variables:
            for moment in self.moments(variable):
                moment.assign(ops.zeros(moment.shape, moment.dtype))

    def moved(self, gradient, weights, momentum, velocity, learning_rate, step):
        """Return weights and moments after a step, unchanged in rows whose gradient is zero.

        Args:
            gradient, weights, momentum, velocity: of one shape `(rows, ...)`.
            learning_rate: a scalar. step: number of the step, from 1.
        """
        step = ops.cast(step, weights.dtype)
        rate = ops.cast(learning_rate, weights.dtype)
        rate *= ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))
        square = ops.square(gradient)
        moves = ops.sum(square, axis=tuple(range(1, len(gradient.shape))), keepdims=True) > 0
        moves = ops.cast(moves, weights.dtype)  # a factor per row, where a selection would cost a pass
        m = momentum + (gradient - momentum) * ((1 - self.beta_1) * moves)
        v = velocity + (square - velocity) * ((1 - self.beta_2) * moves)
        return weights - m * (rate * moves) / (ops.sqrt(v) + self.epsilon), m, v

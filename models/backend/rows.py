"""Variables whose rows belong to different users, items or domains, of which a batch touches a few."""

import math

import keras
from keras import ops

LARGE = 1 << 20  # elements; a larger variable is never gone through whole in a step


def move_by_row(*variables: keras.Variable) -> None:
    """Mark variables whose rows are moved only by batches that touch them (see `RowAdam`)."""
    for variable in variables:
        variable.moves_by_row = True


def by_domain(*variables: keras.Variable, axis: int = 0, grouped: bool = True) -> None:
    """Mark variables an axis of which goes through the domains, the unknown one last, so many places each.

    Args:
        *variables: those to mark.
        axis: which one.
        grouped: whether groups take the domains' place where a model has them.
    """
    for variable in variables:
        variable.domain_axis, variable.domain_grouped = axis, grouped


def is_large(variable: keras.Variable) -> bool:
    """Return whether a variable is marked and too large to be gone through whole at every step."""
    return getattr(variable, "moves_by_row", False) and math.prod(variable.shape) > LARGE


def take_rows(variable: keras.Variable, rows):
    """Return rows of a variable, of shape `rows.shape + variable.shape[1:]`.

    As `ops.take`, but TensorFlow neither copies the variable nor makes a gradient of its whole size.
    """
    value = variable.value
    return value.sparse_read(rows) if hasattr(value, "sparse_read") else ops.take(value, rows, axis=0)


def write_rows(variable: keras.Variable, rows, values) -> None:
    """Set rows `(n,)`, each given once, of a variable; TensorFlow does it in place."""
    value, index = variable.value, ops.expand_dims(rows, 1)
    if hasattr(value, "scatter_nd_update"):
        value.scatter_nd_update(index, values)
    else:
        variable.assign(ops.scatter_update(value, index, values))

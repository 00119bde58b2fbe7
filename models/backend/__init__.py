"""The compiled primitives that learning methods stand on, one module per Keras backend."""

import importlib

import keras


def create_steps(model, optimizer, objective=None):
    """Return the `Steps` of the active Keras backend for a built model.

    Args:
        model: a built `MultiDomainModel`.
        optimizer: a Keras optimizer.
        objective: what is minimized, see `BaseSteps`; None for the mean of the rows' losses.

    Raises:
        ValueError: a Keras backend that mdr has no module for.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(f"the Keras backend {backend!r} is not supported; use tensorflow or jax.")
    return importlib.import_module(f"models.backend.{backend}_steps").Steps(model, optimizer, objective)

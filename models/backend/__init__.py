"""The compiled primitives that learning methods stand on, one module per Keras backend."""

import importlib

import keras


def create_steps(model, optimizer):
    """Return the `Steps` of the active Keras backend for a built model.

    Args:
        model: a built `MultiDomainModel`.
        optimizer: a Keras optimizer.

    Raises:
        ValueError: a Keras backend that mdr has no module for.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(f"the Keras backend {backend!r} is not supported; use tensorflow or jax.")
    return importlib.import_module(f"models.backend.{backend}_steps").Steps(model, optimizer)

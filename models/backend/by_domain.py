"""Answers a mixed batch domain by domain, each with the parameters of its own."""

from collections.abc import Callable

import keras
from keras import tree


def by_domain(call: Callable, inputs: dict, domain, specific, variables):
    """Return `call(inputs)` where each row is computed with what its domain adds to the shared parameters.

    The work grows with the domains in the batch, not with all domains: TensorFlow computes each one's rows
    alone; JAX, whose shapes are fixed, computes the batch once for each domain in it.

    Args:
        call: maps inputs by name, `(rows, ...)`, to outputs `(rows, ...)` or a structure of them.
        inputs: of the batch. domain: index of each row's domain, `(batch,)`.
        specific: the `SpecificParameters`. variables: all variables of the model.

    Returns:
        The outputs of all rows, in their order.
    """
    in_jax = keras.backend.backend() == "jax"

    def of_one(domain, inputs):
        added = zip(specific.of, specific.differences(domain), strict=True)
        mapping = {id(variable): (variable, variable.value + difference) for variable, difference in added}
        if in_jax:  # within another scope, which this one hides
            mapping = {id(variable): (variable, variable.value) for variable in variables} | mapping
        with keras.StatelessScope(state_mapping=list(mapping.values())):
            return call(inputs)

    return (_masked if in_jax else _gathered)(of_one, inputs, domain)


def _gathered(of_one, inputs, domain):
    import tensorflow as tf

    present, which = tf.unique(domain)
    example = of_one(tf.constant(0), {name: values[:1] for name, values in inputs.items()})  # its shapes
    arrays = tree.map_structure(
        lambda out: tf.TensorArray(
            out.dtype, size=tf.size(present), infer_shape=False, element_shape=[None, *out.shape[1:]]
        ),
        example,
    )
    order = tf.argsort(which, stable=True)
    ends = tf.cumsum(tf.math.bincount(which, minlength=tf.size(present)))

    def body(i, arrays):
        start = tf.where(i > 0, ends[tf.maximum(i - 1, 0)], 0)
        rows = order[start : ends[i]]
        outputs = of_one(present[i], {name: tf.gather(values, rows) for name, values in inputs.items()})
        return i + 1, tree.map_structure(lambda array, out: array.write(i, out), arrays, outputs)

    _, arrays = tf.while_loop(lambda i, _: i < tf.size(present), body, (0, arrays))
    back = tf.math.invert_permutation(order)
    return tree.map_structure(lambda array: tf.gather(array.concat(), back), arrays)


def _masked(of_one, inputs, domain):
    import jax
    import jax.numpy as jnp

    def body(state):
        current, outputs = state
        new = of_one(current, inputs)

        def chosen(new, old):
            mine = jnp.reshape(domain == current, (-1, *[1] * (new.ndim - 1)))
            return jnp.where(mine, new, old)

        outputs = jax.tree.map(chosen, new, outputs)
        later = jnp.where(domain > current, domain, jnp.iinfo(domain.dtype).max)
        return jnp.min(later), outputs

    shapes = jax.eval_shape(lambda: of_one(jnp.min(domain), inputs))
    outputs = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    return jax.lax.while_loop(lambda s: s[0] <= jnp.max(domain), body, (jnp.min(domain), outputs))[1]

"""Calls a signature with two tensors, however many columns it has: making one costs more than filling it."""

import numpy as np
import tensorflow as tf

from pipeline.serve.batcher import Inputs, Outputs
from pipeline.serve.columns import Column


class Packed:
    """A signature's function, its strings in one vector and its numbers in another.

    The strings stand column after column, a sequence's row by row; the graph cuts them apart again.

    Args:
        function: of the signature. columns: its inputs by name; one of strings at least.
    """

    def __init__(self, function, columns: dict[str, Column]):
        self._strings = [column for column in columns.values() if not column.is_number]
        self._numbers = [column for column in columns.values() if column.is_number]
        widths = [column.width or 1 for column in self._strings]

        def unpack(strings: tf.Tensor, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = tf.size(strings) // sum(widths)
            inputs = {}
            parts = tf.split(strings, [rows * width for width in widths], num=len(widths))
            for column, values in zip(self._strings, parts, strict=True):
                shape = [rows] if column.width is None else [rows, column.width]
                inputs[column.name] = tf.reshape(values, shape)
            if self._numbers:
                parts = tf.unstack(tf.reshape(numbers, [len(self._numbers), rows]))
                inputs |= {column.name: values for column, values in zip(self._numbers, parts, strict=True)}
            return function(**inputs)

        self._call = tf.function(unpack).get_concrete_function(
            tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.float32)
        )

    def __call__(self, inputs: Inputs) -> Outputs:
        """Return the outputs of all rows; `inputs` by column, see pipeline/serve/columns.py."""
        strings = []
        for column in self._strings:
            strings += inputs[column.name]
        numbers = [inputs[column.name] for column in self._numbers] or [np.empty(0, np.float32)]
        outputs = self._call(tf.constant(strings, tf.string), tf.constant(np.concatenate(numbers)))
        return {name: output.numpy() for name, output in outputs.items()}

"""How large an architecture is and how much it computes for a row."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np

from models.architectures.base import MultiDomainModel, example_inputs
from models.layers import domain

PRODUCTS = ("matmul", "dot", "tensordot", "einsum")


def describe(model: MultiDomainModel) -> dict[str, int]:
    """Count a model's parameters and its multiply-adds per row.

    Args:
        model: a built model.

    Returns:
        `parameters`, embeddings included, of which `embedding_parameters`, and `multiply_adds`, those of the
        matrix products that one row takes part in; work element by element is left out.
    """
    counted = 0

    def count(multiply_adds: int) -> None:
        nonlocal counted
        counted += multiply_adds

    with _counting(count):
        model(example_inputs(model.spec), training=False)
    return {
        "parameters": _size(model.trainable_variables),
        "embedding_parameters": _size(model.embedding.trainable_variables),
        "multiply_adds": counted + getattr(model, "legacy_multiply_adds", 0),
    }


def _size(variables) -> int:
    return int(sum(np.prod(variable.shape) for variable in variables))


@contextmanager
def _counting(count: Callable[[int], None]) -> Iterator[None]:
    """Report the size of every product that is computed meanwhile; a row is a block of its own."""
    places = [(module, name) for module in (keras.ops, keras.src.ops) for name in PRODUCTS]
    before = [getattr(module, name) for module, name in places]
    rows = domain.BLOCK_ROWS
    domain.BLOCK_ROWS = 1
    try:
        for (module, name), product in zip(places, before, strict=True):
            setattr(module, name, _counted(name, product, count))
        yield
    finally:
        domain.BLOCK_ROWS = rows
        for (module, name), product in zip(places, before, strict=True):
            setattr(module, name, product)


def _counted(name: str, product: Callable, count: Callable[[int], None]) -> Callable:
    def call(*operands, **options):
        result = product(*operands, **options)
        if name == "einsum":
            count(_einsum_size(*operands))
        else:  # each value of the result is a sum over what the operands share
            shared = options.get("axes", operands[2] if len(operands) > 2 else None)
            width = operands[0].shape[-1]
            if isinstance(shared, list | tuple):
                first = shared[0] if isinstance(shared[0], list | tuple) else [shared[0]]
                width = math.prod(operands[0].shape[axis] for axis in first)
            count(math.prod(result.shape) * width)
        return result

    return call


def _einsum_size(equation: str, *operands) -> int:
    sizes = {}
    for letters, operand in zip(equation.split("->")[0].split(","), operands, strict=True):
        sizes |= dict(zip(letters.strip(), operand.shape, strict=True))
    return math.prod(sizes.values())

"""The inputs of a signature, whole columns at once: out of protos, out of JSON, into tensors.

A column of strings is a flat list of `bytes` or `str`, a column of numbers an array; a sequence has `width`
values a row, "" for none. So requests of any size join by joining lists.
"""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from pipeline.serve.errors import InvalidRequest, check_rows

NAN = float("nan")
KINDS = {str: "a string", bool: "a boolean", list: "a list", dict: "an object", type(None): "null"}
EMPTY = ("", b"", None)
Values = list | np.ndarray


@dataclass(frozen=True)
class Column:
    """One input of a signature.

    Attributes:
        name: of the input.
        is_number: float32; else strings.
        width: values per row of a sequence; None for one value `(rows,)`.
        required: whether a request must hold it, because no default stands for it.
        max_rows: of a request; more are refused before any value is made.
    """

    name: str
    is_number: bool
    width: int | None
    required: bool
    max_rows: int

    def missing(self, rows: int) -> Values:
        """Return what stands for a missing value, once a row: the model then takes the training default."""
        return np.full(rows, NAN, np.float32) if self.is_number else [""] * (rows * (self.width or 1))

    def from_proto(self, proto: tensor_pb2.TensorProto) -> Values:
        """Return the values of a tensor of a gRPC request.

        Raises:
            InvalidRequest: another type or rank than the signature's, too many rows, or a shape that the
                values do not fill.
        """
        wanted = types_pb2.DT_FLOAT if self.is_number else types_pb2.DT_STRING
        if proto.dtype != wanted:
            raise InvalidRequest(
                f"input {self.name!r} is {types_pb2.DataType.Name(proto.dtype)}; it must be"
                f" {types_pb2.DataType.Name(wanted)}."
            )
        shape = [dim.size for dim in proto.tensor_shape.dim]
        if len(shape) != (1 if self.width is None else 2) or min(shape) < 0:
            raise InvalidRequest(
                f"input {self.name!r} has the shape {shape}; it must be"
                f" {'[rows]' if self.width is None else '[rows, values]'}."
            )
        check_rows(shape[0], self.max_rows)
        size, held = math.prod(shape), len(proto.float_val) or len(proto.string_val)
        # A proto may leave repeated values out; so few bytes may not stand for more than the model reads.
        if held < size > self.max_rows * (self.width or 1) and not proto.tensor_content:
            raise InvalidRequest(f"input {self.name!r} holds {held} values; its shape {shape} says {size}.")
        if self.is_number or len(proto.string_val) != size:
            values = _array(self.name, proto)
            if self.is_number:
                return values
            values = values.ravel().tolist()
        else:
            values = list(proto.string_val)
        if self.width is None or shape[1] == self.width:
            return values
        return self._flat([values[row * shape[1] : (row + 1) * shape[1]] for row in range(shape[0])])

    def from_json(self, values: list) -> Values:
        """Return the values of one column of a REST request, one a row.

        Raises:
            InvalidRequest: too many rows, or a value is of another type than the signature's; names the row.
        """
        check_rows(len(values), self.max_rows)
        if self.is_number:
            return self._numbers(values)
        if self.width is None:
            return self._strings(values)
        for row, value in enumerate(values):
            if type(value) is not list and value is not None:
                self._refuse(value, row, "a list of strings")
        return self._strings(self._flat(values))

    def _numbers(self, values: list) -> np.ndarray:
        if not {float, int} >= set(map(type, values)):
            for row, value in enumerate(values):
                if type(value) not in (float, int, type(None)):
                    self._refuse(value, row, "a number")
            values = [NAN if value is None else value for value in values]
        try:
            with np.errstate(over="ignore"):
                return np.array(values, np.float64).astype(np.float32)
        except OverflowError:
            raise InvalidRequest(f"input {self.name!r} holds a number that is too large.") from None

    def _strings(self, values: list) -> list:
        if {str} >= set(map(type, values)):
            return values
        return [value if type(value) is str else self._string(value, row) for row, value in enumerate(values)]

    def _string(self, value: Any, row: int) -> str | bytes:
        if value is None and not self.required:
            return ""
        if type(value) is dict and list(value) == ["b64"]:
            try:
                return base64.b64decode(value["b64"], validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise InvalidRequest(f"input {self.name!r}: row {row} is no base64.") from None
        if type(value) is bytes:
            return value
        return self._refuse(value, row // (self.width or 1), "a string")

    def _flat(self, lists: list[list | None]) -> list:
        """Return sequences one after the other, each cut or filled to `width`: the model reads no further."""
        flat = []
        for values in lists:
            kept = values or []
            if len(kept) > self.width:  # the model leaves empty values out before it cuts
                kept = [value for value in kept if value not in EMPTY][: self.width]
            flat += kept
            flat += [""] * (self.width - len(kept))
        return flat

    def _refuse(self, value: Any, row: int, wanted: str):
        is_kind = KINDS.get(type(value), "a number")
        raise InvalidRequest(
            f"input {self.name!r}: row {row} is {is_kind} ({str(value)[:40]!r}), not {wanted}."
        )


def _array(name: str, proto: tensor_pb2.TensorProto) -> np.ndarray:
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"input {name!r} holds another number of values than its shape: {error}"
        ) from None

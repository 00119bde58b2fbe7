"""tf.Examples of Classify and Regress requests, out of protos and out of JSON."""

import base64
import binascii
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from pipeline.serve.errors import InvalidRequest, check_rows


def serialized_examples(given: input_pb2.Input, max_rows: int) -> list[bytes]:
    """Return the examples of a request, each with the context where there is one.

    Raises:
        InvalidRequest: there are none, or more than `max_rows`.
    """
    has_context = given.HasField("example_list_with_context")
    examples = (given.example_list_with_context if has_context else given.example_list).examples
    if not examples:
        raise InvalidRequest("the request has no examples.")
    check_rows(len(examples), max_rows)
    if not has_context:
        return [example.SerializeToString() for example in examples]
    serialized = []
    for example in examples:
        whole = tf.train.Example()
        whole.CopyFrom(given.example_list_with_context.context)
        whole.MergeFrom(example)  # a feature of the example replaces the context's
        serialized.append(whole.SerializeToString())
    return serialized


def input_from_json(request: dict, max_rows: int) -> input_pb2.Input:
    """Return what a REST request holds under `examples` and `context`.

    Raises:
        InvalidRequest: it is no list of objects, is one of more than `max_rows`, or a value is of a type that
            no column has.
    """
    rows = request.get("examples")
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("'examples' must be a list of objects with at least one.")
    check_rows(len(rows), max_rows)
    examples = [_example(row) for row in rows]
    if "context" not in request:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
    context = _example(request["context"])
    return input_pb2.Input(
        example_list_with_context=input_pb2.ExampleListWithContext(examples=examples, context=context)
    )


def _example(row: Any) -> tf.train.Example:
    if not isinstance(row, dict):
        raise InvalidRequest(f"an example must be an object; there is {str(row)[:40]!r}.")
    example = tf.train.Example()
    for name, value in row.items():
        values = [each for each in (value if isinstance(value, list) else [value]) if each is not None]
        if not values:
            continue
        feature = example.features.feature[name]
        if all(type(each) in (int, float) for each in values):
            # An integer would be int64, which no column is; a number for a text column stays a wrong type.
            try:
                feature.float_list.value.extend(float(each) for each in values)
            except OverflowError:
                raise InvalidRequest(f"feature {name!r} holds a number that is too large.") from None
        elif all(type(each) is str or type(each) is dict for each in values):
            feature.bytes_list.value.extend(_bytes(each, name) for each in values)
        else:
            raise InvalidRequest(f"feature {name!r} holds {str(value)[:40]!r}: no strings, and no numbers.")
    return example


def _bytes(value: str | dict, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, KeyError, TypeError, ValueError):
        raise InvalidRequest(f"feature {name!r} holds an object that is no {{'b64': …}}.") from None

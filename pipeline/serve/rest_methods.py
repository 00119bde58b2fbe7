"""The methods of TF Serving's REST interface: a model and a JSON object in, a JSON object out."""

import json
from typing import Any

import numpy as np
import orjson

from models.export import CLASS_NAMES, CLASS_SCORES, INPUTS, REGRESSIONS
from pipeline.serve.batcher import Outputs
from pipeline.serve.columns import Column
from pipeline.serve.errors import InvalidRequest, check_rows
from pipeline.serve.examples import input_from_json, serialized_examples
from pipeline.serve.grpc_api import check_method
from pipeline.serve.served_model import ServedModel, Signature


def parse(body: bytes) -> dict:
    """Return a request's JSON object.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            request = json.loads(body)  # slower, but takes the NaN and Infinity that TF Serving takes, too
            json.dumps(request, ensure_ascii=False).encode()  # no half of a surrogate pair, which is no text
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"JSON Parse error: {error}") from None
    if not isinstance(request, dict):
        raise InvalidRequest("the request must be a JSON object.")
    if not isinstance(request.get("signature_name", ""), str):
        raise InvalidRequest("'signature_name' must be a string.")
    return request


def predict(model: ServedModel, request: dict) -> dict:
    """Answer `{"instances": [row, …]}` with `predictions`, `{"inputs": {column: values}}` with `outputs`.

    Raises:
        ServeError: the request is wrong, or there is no room for it.
    """
    signature = model.signature(request.get("signature_name", ""))
    if ("instances" in request) == ("inputs" in request):
        raise InvalidRequest("the request must have one of the keys 'instances' and 'inputs'.")
    by_row = "instances" in request
    given = _rows(signature, request["instances"]) if by_row else _lists(signature, request["inputs"])
    outputs = {
        name: _plain(values)
        for name, values in signature.run(signature.read(given, Column.from_json)).items()
    }
    if len(outputs) == 1:
        [values] = outputs.values()
    elif by_row:
        values = [
            dict(zip(outputs, row, strict=True)) for row in zip(*map(list, outputs.values()), strict=True)
        ]
    else:
        values = outputs
    return {"predictions" if by_row else "outputs": values}


def classify(model: ServedModel, request: dict) -> dict:
    """Answer `{"examples": [row, …]}` with label and score of each class."""
    outputs = _run_examples(model, request, CLASS_SCORES)
    names, scores = _plain(outputs[CLASS_NAMES]), outputs[CLASS_SCORES].tolist()
    return {"results": [list(zip(*row, strict=True)) for row in zip(names, scores, strict=True)]}


def regress(model: ServedModel, request: dict) -> dict:
    """Answer `{"examples": [row, …]}` with a number for each."""
    return {"results": _run_examples(model, request, REGRESSIONS)[REGRESSIONS]}


def _run_examples(model: ServedModel, request: dict, output: str) -> Outputs:
    signature = model.signature(request.get("signature_name", ""))
    check_method(signature, output)
    given = input_from_json(request, signature.max_rows)
    return signature.run({INPUTS: serialized_examples(given, signature.max_rows)})


def _rows(signature: Signature, rows: Any) -> dict[str, list]:
    """Return rows as columns; one without a column's key has null there."""
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("'instances' must be a list with at least one row.")
    check_rows(len(rows), signature.max_rows)
    if all(type(row) is dict and list(row) != ["b64"] for row in rows):
        # In the order of their first appearance, so that an unknown name is the one that an error tells.
        names = dict.fromkeys(name for row in rows for name in row)
        signature.check_names(names)  # before each of them becomes a column of all rows
        return {name: [row.get(name) for row in rows] for name in names or signature.columns}
    if len(signature.columns) > 1:
        raise InvalidRequest(f"'instances' of signature {signature.name!r} must be objects of named columns.")
    return {next(iter(signature.columns)): rows}


def _lists(signature: Signature, given: Any) -> dict[str, list]:
    if isinstance(given, dict) and list(given) != ["b64"]:
        for name, values in given.items():
            if not isinstance(values, list):
                raise InvalidRequest(f"input {name!r} must be a list, one value a row.")
        return given
    if len(signature.columns) > 1 or not isinstance(given, list):
        raise InvalidRequest(f"'inputs' of signature {signature.name!r} must be an object of named lists.")
    return {next(iter(signature.columns)): given}


def _plain(values: np.ndarray) -> np.ndarray | list:
    """Return values as JSON can hold them."""
    if values.dtype != object:
        return values
    return [
        [each.decode() for each in row] if isinstance(row, np.ndarray) else row.decode() for row in values
    ]

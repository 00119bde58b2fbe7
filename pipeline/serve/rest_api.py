"""TF Serving's REST interface, and the server's own pages beside it."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
from absl import logging
from fastapi import FastAPI, Request, Response
from google.protobuf import json_format
from starlette.exceptions import HTTPException
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from models.export import CLASS_NAMES, CLASS_SCORES, INPUTS, REGRESSIONS
from pipeline.serve import grpc_api
from pipeline.serve.batcher import Outputs
from pipeline.serve.columns import Column
from pipeline.serve.errors import InvalidRequest, NotServed, ServeError, TooLarge
from pipeline.serve.examples import input_from_json, serialized_examples
from pipeline.serve.metrics import Metrics
from pipeline.serve.page import write_page
from pipeline.serve.ranking import recommend
from pipeline.serve.served_model import ServedModel, Signature
from pipeline.serve.versions import Versions


class Rest:
    """Answers REST requests.

    Args:
        versions: what serves. metrics: told of each request.
        threads: that requests run in. max_bytes: of a request's body.
    """

    def __init__(self, versions: Versions, metrics: Metrics, threads: int, max_bytes: int):
        self._versions, self._metrics, self._max_bytes = versions, metrics, max_bytes
        self._threads = ThreadPoolExecutor(threads)
        self._methods = {
            "predict": predict,
            "classify": classify,
            "regress": regress,
            "recommend": recommend,
        }
        self.app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        self.app.add_exception_handler(HTTPException, _no_such_page)
        for path in ("/v1/models/{name}", "/v1/models/{name}/versions/{number}"):
            self.app.add_api_route(path, self._status, methods=["GET"])
            self.app.add_api_route(f"{path}/metadata", self._metadata, methods=["GET"])
            self.app.add_api_route(f"{path}:{{method}}", self._call, methods=["POST"])
        self.app.add_api_route("/", self._page, methods=["GET"])
        self.app.add_api_route("/metrics", self._show_metrics, methods=["GET"])

    async def _call(self, request: Request) -> Response:
        name = request.path_params["method"]
        method = self._methods.get(name)
        if method is None:
            return _error(NotServed(f"no method {name!r}; there are: {', '.join(self._methods)}."))

        def work(body: bytes) -> Any:
            model = self._versions.get(request.path_params["name"], _number(request))
            return method(model, parse(body))

        return await self._answer(name, request, work)

    async def _status(self, request: Request) -> Response:
        def work(body: bytes) -> dict:
            response = grpc_api.status(self._versions, _spec(request))
            return json_format.MessageToDict(
                response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )

        return await self._answer("status", request, work)

    async def _metadata(self, request: Request) -> Response:
        def work(body: bytes) -> dict:
            asked = get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=_spec(request), metadata_field=["signature_def"]
            )
            signatures = get_model_metadata_pb2.SignatureDefMap()
            response = grpc_api.metadata(self._versions, asked)
            response.metadata["signature_def"].Unpack(signatures)
            spec = {"name": response.model_spec.name, "version": str(response.model_spec.version.value)}
            shown = json_format.MessageToDict(
                signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            return {"model_spec": {**spec, "signature_name": ""}, "metadata": {"signature_def": shown}}

        return await self._answer("metadata", request, work)

    async def _show_metrics(self) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def _page(self) -> Response:
        model = self._versions.get(self._versions.name)
        return Response(write_page(model, self._versions.name), media_type="text/html")

    async def _answer(self, method: str, request: Request, work: Callable[[bytes], Any]) -> Response:
        """Answer with what `work` makes of the body, as JSON, or with its error."""
        with self._metrics.request("rest", method) as status:
            try:
                body = await self._body(request)
                answer = await asyncio.get_running_loop().run_in_executor(
                    self._threads, lambda: orjson.dumps(work(body), option=orjson.OPT_SERIALIZE_NUMPY)
                )
                return Response(answer, media_type="application/json")
            except ServeError as error:
                status[0] = error.grpc.name
                return _error(error)
            except Exception as error:
                logging.exception("%s failed", method)
                status[0] = "INTERNAL"
                return _error(ServeError(f"{type(error).__name__}: {error}"))

    async def _body(self, request: Request) -> bytes:
        too_large = TooLarge(f"the request has more than {self._max_bytes:,} bytes.")
        if int(request.headers.get("content-length", 0)) > self._max_bytes:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise too_large
        return bytes(body)

    def stop(self) -> None:
        """Wait for the threads; called when no request runs any more."""
        self._threads.shutdown()


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
    grpc_api.check_method(signature, output)
    return signature.run({INPUTS: serialized_examples(input_from_json(request))})


def _rows(signature: Signature, rows: Any) -> dict[str, list]:
    """Return rows as columns; one without a column's key has null there."""
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("'instances' must be a list with at least one row.")
    if all(type(row) is dict and list(row) != ["b64"] for row in rows):
        # In the order of their first appearance, so that an unknown name is the one that an error tells.
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
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


def _spec(request: Request) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=request.path_params["name"])
    number = _number(request)
    if number is not None:
        spec.version.value = number
    return spec


def _number(request: Request) -> int | None:
    text = request.path_params.get("number")
    if text is None:
        return None
    if not text.isdecimal():
        raise InvalidRequest(f"version {text!r} is no number.")
    return int(text)


def _error(error: ServeError) -> Response:
    return Response(orjson.dumps({"error": str(error)}), error.http, media_type="application/json")


async def _no_such_page(request: Request, error: HTTPException) -> Response:
    text = f"{request.method} {request.url.path}: {error.detail}"
    return Response(orjson.dumps({"error": text}), error.status_code, media_type="application/json")

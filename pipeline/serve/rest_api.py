"""TF Serving's REST interface, and the server's own pages beside it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from absl import logging
from fastapi import FastAPI, Request, Response
from google.protobuf import json_format
from starlette.exceptions import HTTPException
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from pipeline.serve import grpc_api
from pipeline.serve.errors import InvalidRequest, NotServed, ServeError, TooLarge
from pipeline.serve.metrics import Metrics
from pipeline.serve.page import write_page
from pipeline.serve.ranking import recommend
from pipeline.serve.rest_methods import classify, parse, predict, regress
from pipeline.serve.versions import Versions

DIGITS = 18  # of a version's number that every int64 holds


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
    if len(text) > DIGITS:
        raise NotServed(f"Servable not found: no version has a number of {len(text)} digits.")
    return int(text)


def _error(error: ServeError) -> Response:
    return Response(orjson.dumps({"error": str(error)}), error.http, media_type="application/json")


async def _no_such_page(request: Request, error: HTTPException) -> Response:
    text = f"{request.method} {request.url.path}: {error.detail}"
    return Response(orjson.dumps({"error": text}), error.status_code, media_type="application/json")

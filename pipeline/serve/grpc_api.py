"""TF Serving's gRPC services: PredictionService and ModelService."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from absl import logging
from google.protobuf.message import Message
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from models.export import CLASS_NAMES, CLASS_SCORES, INPUTS, REGRESSIONS
from pipeline.serve.batcher import Outputs
from pipeline.serve.columns import Column
from pipeline.serve.errors import InvalidRequest, NotServed, ServeError
from pipeline.serve.examples import serialized_examples
from pipeline.serve.metrics import Metrics
from pipeline.serve.served_model import ServedModel, Signature
from pipeline.serve.versions import Versions


def create_server(
    versions: Versions, metrics: Metrics, address: str, threads: int, max_bytes: int
) -> tuple[grpc.Server, int]:
    """Return a server that is bound but not started, and its port.

    Args:
        versions: what serves. metrics: told of each request. address: `host:port`, port 0 for a free one.
        threads: that requests run in. max_bytes: of a message.

    Raises:
        OSError: the address cannot be bound.
    """
    options = [
        # A client's calls beyond these wait on its side. Of too many here gRPC would cancel some by chance,
        # or reset some by its own protection, where all are to hear RESOURCE_EXHAUSTED.
        ("grpc.max_concurrent_streams", 2 * threads),
        ("grpc.http.overload_protection", 0),
        ("grpc.so_reuseport", 0),  # else a second server would share the port without a word
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", -1),
    ]
    # No `maximum_concurrent_rpcs`: it ends a call before its message is read, which clients see as CANCELLED.
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    answers = _Answers(metrics)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(versions, answers), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(versions, answers), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise OSError(f"cannot listen for gRPC on {address}: the port is in use, or not this machine's.")
    return server, port


class _Answers:
    """Runs the methods, with their errors as gRPC statuses."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics

    def __call__(self, method: str, context: grpc.ServicerContext, work: Callable[[], Message]) -> Message:
        with self._metrics.request("grpc", method) as status:
            try:
                return work()
            except ServeError as error:
                code, text = error.grpc, str(error)
            except Exception as error:
                logging.exception("%s failed", method)
                code, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
            status[0] = code.name
        return context.abort(code, text)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress and GetModelMetadata."""

    def __init__(self, versions: Versions, answers: _Answers):
        self._versions, self._answers = versions, answers

    def Predict(self, request, context):
        """Answer with the signature's outputs."""
        return self._answers("Predict", context, lambda: self._predict(request))

    def Classify(self, request, context):
        """Answer with classes and scores."""
        return self._answers("Classify", context, lambda: self._classify(request))

    def Regress(self, request, context):
        """Answer with a number per example."""
        return self._answers("Regress", context, lambda: self._regress(request))

    def GetModelMetadata(self, request, context):
        """Answer with the signatures' inputs and outputs."""
        return self._answers("GetModelMetadata", context, lambda: metadata(self._versions, request))

    def _predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        model, signature = _find(self._versions, request.model_spec)
        wanted = check_filter(signature, list(request.output_filter))
        outputs = signature.run(signature.read(request.inputs, Column.from_proto))
        response = predict_pb2.PredictResponse(model_spec=_spec_of(request.model_spec, model, signature))
        for name in wanted:
            _fill(response.outputs[name], outputs[name])
        return response

    def _classify(self, request) -> classification_pb2.ClassificationResponse:
        model, signature, outputs = self._run_examples(request, CLASS_SCORES)
        result = classification_pb2.ClassificationResult()
        for names, scores in zip(outputs[CLASS_NAMES].tolist(), outputs[CLASS_SCORES].tolist(), strict=True):
            classes = result.classifications.add().classes
            for name, score in zip(names, scores, strict=True):
                classes.add(label=name.decode(), score=score)
        spec = _spec_of(request.model_spec, model, signature)
        return classification_pb2.ClassificationResponse(model_spec=spec, result=result)

    def _regress(self, request) -> regression_pb2.RegressionResponse:
        model, signature, outputs = self._run_examples(request, REGRESSIONS)
        result = regression_pb2.RegressionResult()
        for value in outputs[REGRESSIONS].tolist():
            result.regressions.add(value=value)
        spec = _spec_of(request.model_spec, model, signature)
        return regression_pb2.RegressionResponse(model_spec=spec, result=result)

    def _run_examples(self, request, output: str) -> tuple[ServedModel, Signature, Outputs]:
        model, signature = _find(self._versions, request.model_spec)
        check_method(signature, output)
        examples = serialized_examples(request.input, signature.max_rows)
        return model, signature, signature.run({INPUTS: examples})


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, versions: Versions, answers: _Answers):
        self._versions, self._answers = versions, answers

    def GetModelStatus(self, request, context):
        """Answer with the state of every version that was seen."""
        return self._answers("GetModelStatus", context, lambda: status(self._versions, request.model_spec))


def status(versions: Versions, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
    """Return the states of the versions that a request asks for."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, (state, error) in versions.states(spec.name, _number(spec)).items():
        version = response.model_version_status.add(version=number, state=state)
        version.status.error_code = tf.errors.UNKNOWN if error else tf.errors.OK
        version.status.error_message = error
    return response


def metadata(
    versions: Versions, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Return the signatures of the version that serves.

    Raises:
        ServeError: no such model or version, or other metadata than `signature_def`.
    """
    if list(request.metadata_field) != ["signature_def"]:
        raise InvalidRequest("metadata_field must be ['signature_def'].")
    model = versions.get(request.model_spec.name, _number(request.model_spec))
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.definitions)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.CopyFrom(model_pb2.ModelSpec(name=request.model_spec.name))
    response.model_spec.version.value = model.number
    response.metadata["signature_def"].Pack(signatures)
    return response


def check_method(signature: Signature, output: str) -> None:
    """Refuse Classify and Regress of a signature that does not answer them.

    Raises:
        InvalidRequest: it has no such output.
    """
    if output not in signature.outputs or list(signature.columns) != [INPUTS]:
        method = "classify" if output == CLASS_SCORES else "regress"
        raise InvalidRequest(
            f"signature {signature.name!r} takes {', '.join(signature.columns)} and answers"
            f' {", ".join(signature.outputs)}; name another: "signature_name": "{method}".'
        )


def check_filter(signature: Signature, wanted: list[str]) -> list[str]:
    """Return the names of the outputs that a request asks for; all of them where it names none.

    Raises:
        InvalidRequest: there is no such output.
    """
    for name in wanted:
        if name not in signature.outputs:
            there = ", ".join(signature.outputs)
            raise InvalidRequest(f"output tensor alias not found in signature: {name}; there are: {there}.")
    return wanted or list(signature.outputs)


def _find(versions: Versions, spec: model_pb2.ModelSpec) -> tuple[ServedModel, Signature]:
    model = versions.get(spec.name, _number(spec))
    return model, model.signature(spec.signature_name)


def _number(spec: model_pb2.ModelSpec) -> int | None:
    if spec.version_label:
        raise NotServed(f"this server has no version labels; {spec.version_label!r} is unknown.")
    return spec.version.value if spec.HasField("version") else None


def _spec_of(asked: model_pb2.ModelSpec, model: ServedModel, signature: Signature) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=asked.name, signature_name=signature.name)
    spec.version.value = model.number
    return spec


def _fill(proto: tensor_pb2.TensorProto, values: np.ndarray) -> None:
    # Clients of TF Serving read `float_val`, which tf.make_tensor_proto would leave empty.
    proto.dtype = tf.as_dtype(values.dtype).as_datatype_enum
    for size in values.shape:
        proto.tensor_shape.dim.add(size=size)
    field = proto.float_val if values.dtype == np.float32 else proto.string_val
    field.extend(values.ravel().tolist())

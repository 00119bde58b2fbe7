"""Requests that a server must refuse without harm: what they declare, and what no one expects in them."""

import grpc
import pytest
import tensorflow as tf
from served_models import curl, known_answer, predict_request, save_known
from tensorflow_serving.apis import prediction_service_pb2_grpc

from pipeline.serve.server import Server, ServeSettings

TOO_MANY = "rows in one request; this server takes at most 12,000."


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    target = tmp_path_factory.mktemp("serving")
    save_known(target / "3")
    started = Server(ServeSettings(target, rest_port=0, grpc_port=0, max_rows=12_000))
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("price", [10_000_000_000], f"10,000,000,000 {TOO_MANY}"),
        ("channel", [10_000_000_000], f"10,000,000,000 {TOO_MANY}"),
        ("tags", [10_000_000_000, 0], f"10,000,000,000 {TOO_MANY}"),
        (
            "tags",
            [1, 10_000_000_000],
            "input 'tags' holds 1 values; its shape [1, 10000000000] says 10000000000.",
        ),
        ("price", [-1], "input 'price' has the shape [-1]; it must be [rows]."),
    ],
)
def test_a_few_bytes_that_declare_many_values_are_refused_before_one_is_made(
    server, monkeypatch, name, shape, message
):
    request = predict_request([{name: 1.0 if name == "price" else "a"}])
    del request.inputs[name].tensor_shape.dim[:]
    for size in shape:
        request.inputs[name].tensor_shape.dim.add(size=size)
    monkeypatch.setattr(tf, "make_ndarray", None)
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_rows_of_json_are_counted_before_one_is_made(server, monkeypatch):
    monkeypatch.setattr("pipeline.serve.columns.Column._flat", None)
    monkeypatch.setattr("pipeline.serve.examples._example", None)
    refused = (400, {"error": f"12,001 {TOO_MANY}"})
    for asked in ({"inputs": {"tags": [[]] * 12_001}}, {"instances": [{"tags": []}] * 12_001}):
        assert curl(server, "/v1/models/mdr:predict", {"signature_name": "columns", **asked}) == refused
    asked = {"signature_name": "regress", "examples": [{}] * 12_001}
    assert curl(server, "/v1/models/mdr:regress", asked) == refused


def test_rows_that_name_no_column_are_rows_of_missing_values(server):
    asked = {"signature_name": "columns", "instances": [{}, {}]}
    assert curl(server, "/v1/models/mdr:predict", asked) == (200, {"predictions": [known_answer()] * 2})


@pytest.mark.parametrize("number", ["99999999999999999999", "9" * 5000])
@pytest.mark.parametrize("path", ["", "/metadata", ":predict"])
def test_a_version_of_too_many_digits_is_not_found(server, number, path):
    body = {"signature_name": "columns", "instances": [{}]} if path == ":predict" else None
    status, answer = curl(server, f"/v1/models/mdr/versions/{number}{path}", body)
    assert status == 404 and f"a number of {len(number)} digits" in answer["error"]


def test_an_integer_that_is_no_float_is_refused(server):
    body = b'{"signature_name": "regress", "examples": [{"price": 1%s}]}' % (b"0" * 400)
    answer = (400, {"error": "feature 'price' holds a number that is too large."})
    assert curl(server, "/v1/models/mdr:regress", body) == answer


@pytest.mark.parametrize("row", [rb'{"channel": "\ud800"}', rb'{"\udfff": "a"}'])
def test_half_of_a_surrogate_pair_is_no_text(server, row):
    body = b'{"signature_name": "columns", "instances": [%s]}' % row
    status, answer = curl(server, "/v1/models/mdr:predict", body)
    assert status == 400 and "JSON Parse error" in answer["error"] and "surrogates" in answer["error"]

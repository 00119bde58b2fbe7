"""The embedded server answers TF Serving's messages: gRPC with its client, REST with curl."""

import base64
import socket
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from served_models import curl, known_answer, predict_request, save_known
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.serve.server import Server, ServeSettings

ROWS = [
    {"channel": "news", "user_id": "007", "price": 0.25, "tags": ["a", "b"]},
    {"channel": "sport", "user_id": "1", "price": 1.0, "tags": ["c", ""]},
]
ANSWERS = [known_answer("news", "007", 0.25, ["a", "b"]), known_answer("sport", "1", 1.0, ["c"])]
UNKNOWN = {"channel": "never seen", "user_id": "nobody"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    target = tmp_path_factory.mktemp("serving")
    save_known(target / "3")
    started = Server(ServeSettings(target, rest_port=0, grpc_port=0, max_bytes=200_000, max_rows=12_000))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict(server, body, name="mdr"):
    return curl(server, f"/v1/models/{name}:predict", {"signature_name": "columns", **body})


def example(row):
    built = tf.train.Example()
    for name, value in row.items():
        feature = built.features.feature[name]
        if name == "price":
            feature.float_list.value.append(value)
        else:
            values = value if isinstance(value, list) else [value]
            feature.bytes_list.value.extend(each.encode() for each in values if each)
    return built


def test_grpc_predict_answers_named_columns_as_tf_serving_does(stub):
    response = stub.Predict(predict_request(ROWS))
    assert list(response.outputs["probability"].float_val) == ANSWERS
    assert tf.make_ndarray(response.outputs["probability"]).shape == (2,)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("mdr", 3, "columns")


def test_grpc_predict_answers_tf_examples(stub):
    request = predict_request([{"examples": example(row).SerializeToString()} for row in ROWS], "")
    assert list(stub.Predict(request).outputs["probability"].float_val) == ANSWERS


@pytest.mark.parametrize("width", [1, 3, 5])
def test_sequences_of_any_width_are_read_up_to_the_model_s_length(stub, width):
    tags = ["a", "b", "c", "d", "e"][:width]
    response = stub.Predict(predict_request([{**ROWS[0], "tags": tags}, {**ROWS[1], "tags": [""] * width}]))
    expected = [known_answer("news", "007", 0.25, tags), known_answer("sport", "1", 1.0)]
    assert list(response.outputs["probability"].float_val) == expected


def test_an_empty_value_takes_no_place_in_a_sequence(server, stub):
    row = {**ROWS[0], "tags": ["", "a", "", "b"]}
    assert list(stub.Predict(predict_request([row])).outputs["probability"].float_val) == ANSWERS[:1]
    row["tags"][2] = None
    assert predict(server, {"instances": [row]}) == (200, {"predictions": ANSWERS[:1]})


def test_a_proto_that_says_a_repeated_value_once_is_read_whole(stub):
    request = predict_request([ROWS[0], ROWS[0]])
    del request.inputs["channel"].string_val[1]
    assert list(stub.Predict(request).outputs["probability"].float_val) == [ANSWERS[0]] * 2


def test_classify_and_regress_of_examples(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "mdr", "classify"
    request.input.example_list.examples.extend(example(row) for row in ROWS)
    classes = stub.Classify(request).result.classifications[1].classes
    assert [(each.label, each.score) for each in classes] == [("0", 1 - ANSWERS[1]), ("1", ANSWERS[1])]
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "mdr", "regress"
    context = request.input.example_list_with_context
    context.context.CopyFrom(example({"channel": "news", "price": 0.25}))
    context.examples.extend([example({"user_id": "007"}), example({"user_id": "1", "price": 1.0})])
    values = [each.value for each in stub.Regress(request).result.regressions]
    assert values == [known_answer("news", "007", 0.25), known_answer("news", "1", 1.0)]


def test_metadata_and_status(stub, channel, server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "mdr"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {"columns", "serving_default", "classify", "regress"}
    assert signatures.signature_def["columns"].inputs["price"].dtype == tf.float32.as_datatype_enum
    shown = curl(server, "/v1/models/mdr/metadata")[1]
    assert shown["model_spec"] == {"name": "mdr", "version": "3", "signature_name": ""}
    columns = shown["metadata"]["signature_def"]["signature_def"]["columns"]
    assert columns["inputs"]["tags"]["dtype"] == "DT_STRING"
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "mdr"
    [version] = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request).model_version_status
    assert (version.version, version.state) == (3, version.AVAILABLE)
    fine = {"error_code": "OK", "error_message": ""}
    expected = [{"version": "3", "state": "AVAILABLE", "status": fine}]
    for path in ("/v1/models/mdr", "/v1/models/mdr/versions/3"):
        assert curl(server, path) == (200, {"model_version_status": expected})


def test_rest_answers_rows_and_columns(server):
    assert predict(server, {"instances": ROWS}) == (200, {"predictions": ANSWERS})
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    assert predict(server, {"inputs": columns}) == (200, {"outputs": ANSWERS})
    numbered = {"signature_name": "columns", "instances": ROWS}
    assert curl(server, "/v1/models/mdr/versions/3:predict", numbered)[1] == {"predictions": ANSWERS}
    encoded = [{"b64": base64.b64encode(example(row).SerializeToString()).decode()} for row in ROWS]
    assert curl(server, "/v1/models/mdr:predict", {"instances": encoded})[1] == {"predictions": ANSWERS}
    assert curl(server, "/v1/models/mdr:predict", {"inputs": encoded})[1] == {"outputs": ANSWERS}


def test_rest_answers_signatures_with_several_outputs(server):
    encoded = [{"b64": base64.b64encode(example(row).SerializeToString()).decode()} for row in ROWS]
    asked = {"signature_name": "classify", "instances": encoded}
    rows = [{"classes": ["0", "1"], "scores": [1 - answer, answer]} for answer in ANSWERS]
    assert curl(server, "/v1/models/mdr:predict", asked)[1] == {"predictions": rows}
    asked = {"signature_name": "classify", "inputs": encoded}
    outputs = curl(server, "/v1/models/mdr:predict", asked)[1]["outputs"]
    assert outputs == {name: [row[name] for row in rows] for name in rows[0]}


def test_rest_classify_and_regress_take_named_values(server):
    rows = [{"channel": "news", "user_id": "007", "price": 1, "tags": ["a", "b"]}, {"channel": "sport"}]
    answers = [known_answer("news", "007", 1, "ab"), known_answer("sport")]
    asked = {"signature_name": "regress", "examples": rows}
    assert curl(server, "/v1/models/mdr:regress", asked) == (200, {"results": answers})
    asked = {"signature_name": "classify", "examples": rows[1:], "context": {"user_id": "007"}}
    score = known_answer("sport", "007")
    results = [[["0", 1 - score], ["1", score]]]
    assert curl(server, "/v1/models/mdr:classify", asked) == (200, {"results": results})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"channel": "news"}, known_answer("news")),
        ({"channel": None, "user_id": None, "price": None, "tags": None}, known_answer()),
        ({"channel": "news", "tags": ["a", None]}, known_answer("news", tags="a")),
        (UNKNOWN, known_answer(**UNKNOWN)),
        ({"channel": "ä", "price": 3}, known_answer("ää", price=3)),  # a number without a point, two bytes
    ],
    ids=["missing", "null", "null in a sequence", "unknown", "unicode"],
)
def test_what_is_missing_takes_the_default_and_what_is_unknown_an_answer(server, row, expected):
    both = [row, {"channel": "news", "user_id": "1"}]
    assert predict(server, {"instances": both})[1] == {"predictions": [expected, known_answer("news", "1")]}


def test_grpc_columns_that_are_left_out_take_the_default(stub):
    response = stub.Predict(predict_request([{"channel": "news"}, {"channel": "x"}]))
    assert list(response.outputs["probability"].float_val) == [known_answer("news"), known_answer("x")]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "null"])
def test_a_number_that_is_not_finite_counts_as_missing(server, stub, value):
    body = f'{{"signature_name": "columns", "instances": [{{"channel": "news", "price": {value}}}]}}'
    assert curl(server, "/v1/models/mdr:predict", body.encode()) == (200, {"predictions": [5004.0]})
    request = predict_request([{"channel": "news", "price": float("nan")}])
    assert list(stub.Predict(request).outputs["probability"].float_val) == [5004.0]


WRONG = [
    ({"instances": [{"price": "cheap"}]}, "input 'price': row 0 is a string ('cheap'), not a number."),
    ({"instances": [{"price": 1}, {"price": True}]}, "input 'price': row 1 is a boolean"),
    ({"instances": [{"user_id": 7}]}, "input 'user_id': row 0 is a number ('7'), not a string."),
    ({"instances": [{"tags": "a"}]}, "input 'tags': row 0 is a string ('a'), not a list of strings."),
    ({"instances": [{"tags": ["a"]}, {"tags": ["a", 1]}]}, "input 'tags': row 1 is a number"),
    ({"instances": [{"user_id": {"b64": "?"}}]}, "input 'user_id': row 0 is no base64."),
    ({"instances": [{"prize": 1}]}, "has no input 'prize'; it has: channel, price, tags, user_id. Did you"),
    ({"inputs": {"price": [1, 2], "channel": ["a"]}}, "input 'channel' has 1 rows, 'price' has 2."),
    ({"inputs": {"price": 1}}, "input 'price' must be a list, one value a row."),
    ({"inputs": {"price": []}}, "the request has no rows."),
    ({"instances": []}, "'instances' must be a list with at least one row."),
    ({"instances": [1]}, "'instances' of signature 'columns' must be objects of named columns."),
    ({}, "must have one of the keys 'instances' and 'inputs'."),
    (
        {"signature_name": "column", "instances": [{}]},
        "there are: classify, columns, regress, serving_default.",
    ),
    ({"signature_name": 1, "instances": [{}]}, "'signature_name' must be a string."),
    ({"signature_name": "", "instances": [{"price": 1}]}, 'need "signature_name": "columns".'),
    ({"signature_name": "", "instances": [None]}, "input 'examples': row 0 is null"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_a_wrong_rest_request_names_what_is_wrong(server, body, message):
    status, answer = predict(server, body)
    assert status in (400, 404) and message in answer["error"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "JSON Parse error"),
        (b"[1]", 400, "must be a JSON object"),
        (b"[" * 100_000, 400, "JSON Parse error"),
        (b"\xff", 400, "JSON Parse error"),
        (b" " * 200_001, 413, "more than 200,000 bytes"),
    ],
)
def test_malformed_and_oversized_json_are_refused(server, body, status, message):
    got, answer = curl(server, "/v1/models/mdr:predict", body)
    assert got == status and message in answer["error"]


def test_a_body_of_unknown_size_is_cut_off_at_the_limit(server):
    with socket.create_connection(("127.0.0.1", server.rest_port)) as client:
        client.sendall(
            b"POST /v1/models/mdr:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.sendall((b"fff0\r\n" + b" " * 0xFFF0 + b"\r\n") * 4)
        assert b"413" in client.recv(200)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/models/other", "Could not find any versions of model other"),
        ("/v1/models/mdr/versions/9", "Could not find any versions of model mdr"),
        ("/v1/models/mdr/versions/x", "version 'x' is no number"),
        ("/nowhere", "GET /nowhere: Not Found"),
    ],
)
def test_what_is_not_there_is_named(server, path, message):
    status, answer = curl(server, path)
    assert status in (400, 404) and message in answer["error"]


def test_another_model_version_or_method_is_not_found(server):
    body = {"signature_name": "columns", "instances": ROWS}
    for path in ("other:predict", "mdr/versions/9:predict", "mdr:explain"):
        assert curl(server, f"/v1/models/{path}", body)[0] == 404


def grpc_error(call, request):
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value.code(), raised.value.details()


def test_wrong_grpc_requests_name_the_column(stub):
    request = predict_request(ROWS)
    request.inputs["price"].CopyFrom(tf.make_tensor_proto(["cheap", "dear"]))
    code, details = grpc_error(stub.Predict, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details == "input 'price' is DT_STRING; it must be DT_FLOAT."
    request.inputs["price"].CopyFrom(tf.make_tensor_proto([[1.0], [2.0]]))
    assert "input 'price' has the shape [2, 1]; it must be [rows]." in grpc_error(stub.Predict, request)[1]
    request = predict_request(ROWS)
    request.output_filter.append("clicks")
    assert "output tensor alias not found in signature: clicks" in grpc_error(stub.Predict, request)[1]
    wrong = tf.train.Example()
    wrong.features.feature["price"].bytes_list.value.append(b"cheap")
    request = predict_request([{"examples": wrong.SerializeToString()}], "serving_default")
    code, details = grpc_error(stub.Predict, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Key: price" in details


def test_grpc_statuses_of_what_is_not_there(stub):
    request = predict_request(ROWS)
    request.model_spec.version.value = 9
    assert grpc_error(stub.Predict, request)[0] == grpc.StatusCode.NOT_FOUND
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "mdr"
    request.input.example_list.examples.add()
    code, details = grpc_error(stub.Classify, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and '"signature_name": "classify"' in details


def test_ten_thousand_rows_are_answered_and_more_than_the_queue_never(server, stub):
    request = predict_request([ROWS[0]] * 10)
    tags = np.array([["a", "b"]] * 10_000)
    for name, values in (("channel", ["news"]), ("user_id", ["007"]), ("price", [0.25])):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, shape=[10_000]))
    request.inputs["tags"].CopyFrom(tf.make_tensor_proto(tags[:1], shape=[10_000, 2]))
    request.inputs["tags"].string_val[:] = [b"a"]
    values = np.array(stub.Predict(request).outputs["probability"].float_val)
    assert values.shape == (10_000,) and set(values) == {ANSWERS[0]}
    status, answer = predict(server, {"inputs": {"price": [1] * 12_001}})
    assert status == 400 and "12,001 rows in one request; this server takes at most 12,000" in answer["error"]


def test_a_message_that_is_too_large_is_refused(stub):
    request = predict_request([{"channel": "x" * 300_000}])
    assert grpc_error(stub.Predict, request)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


def batches_run(server) -> float:
    return float(curl(server, "/metrics")[1].split("mdr_batch_rows_count ")[1].split()[0])


def test_many_clients_at_once_get_their_own_rows(server, stub):
    wrong, before = [], batches_run(server)

    def client(number):
        for i in range(20):
            row = {**ROWS[0], "user_id": "u" * (number + 1), "price": float(i)}
            values = list(
                stub.Predict(predict_request([row] * (number % 3 + 1))).outputs["probability"].float_val
            )
            if set(values) != {known_answer("news", row["user_id"], i, "ab")}:
                wrong.append((number, i, values))

    threads = [threading.Thread(target=client, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    text = curl(server, "/metrics")[1]
    assert 'mdr_requests_total{api="grpc",method="Predict",status="OK"}' in text
    assert "mdr_waiting_rows 0.0" in text and "mdr_version 3.0" in text
    assert batches_run(server) - before < 16 * 20  # some requests ran together


def test_an_ipv6_host_stands_in_brackets(server, monkeypatch):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    settings = ServeSettings(server.versions.target, host="::1", rest_port=0, grpc_port=0)
    started = Server(settings)
    with grpc.insecure_channel(f"[::1]:{started.grpc_port}") as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(predict_request(ROWS))
    assert list(answer.outputs["probability"].float_val) == ANSWERS
    monkeypatch.setattr("pipeline.serve.server.serve", lambda settings, told: told(started))
    command = ["serve", "--model", str(settings.target), "--host", "::1"]
    said = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert f"page  http://[::1]:{started.rest_port}/" in said and f"gRPC  [::1]:{started.grpc_port}" in said
    started.stop()


def test_a_port_in_use_is_said(server, tmp_path):
    for ports in ({"rest_port": server.rest_port}, {"grpc_port": server.grpc_port}):
        given = {"rest_port": 0, "grpc_port": 0, **ports}
        with pytest.raises(OSError, match=r"cannot listen .*127\.0\.0\.1:\d+"):
            Server(ServeSettings(server.versions.target, **given))

"""`mdr serve` of a real run's model, as users meet it: its process, gRPC, curl, the page, ranking."""

import json
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import grpc
import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from command import PROJECT
from served_models import curl
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from typer.testing import CliRunner

from components.latest_blessed_model.versions import versions
from pipeline.cli import app
from pipeline.predict import predict, raw_columns
from schema.log_schema import LogSchema

ROWS = 300


def start(*arguments):
    command = [sys.executable, "-m", "pipeline.cli", "serve", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*command, "--rest-port", "0", "--grpc-port", "0"], **pipes, text=True, cwd=PROJECT
    )


@pytest.fixture(scope="module")
def target(pipeline_run, tmp_path_factory):
    """A copy of the run's push target, which these tests add versions to."""
    assert pipeline_run.resumed.returncode == 0
    copied = tmp_path_factory.mktemp("served") / "serving"
    shutil.copytree(versions(pipeline_run.folder / "serving")[-1].folder, copied / "1")
    return copied


@pytest.fixture(scope="module")
def server(target):
    process = start("--model", target)
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said += line
    ports = re.search(r"REST +http://127\.0\.0\.1:(\d+)/v1/.*gRPC +127\.0\.0\.1:(\d+)", said, re.DOTALL)
    yield SimpleNamespace(process=process, rest_port=int(ports[1]), grpc_port=int(ports[2]))
    process.send_signal(signal.SIGINT)
    process.wait(60)


@pytest.fixture(scope="module")
def scored(pipeline_run, target, tmp_path_factory):
    """Rows of the last day, the model's log schema, and what `mdr predict` says of them."""
    place = tmp_path_factory.mktemp("scored")
    table = pl.read_csv(sorted((pipeline_run.config.parent / "logs").iterdir())[-1], infer_schema=False)
    table.head(ROWS).write_csv(place / "rows.csv")
    predict(target / "1", place / "rows.csv", place / "out.parquet")
    log = LogSchema.model_validate(json.loads((target / "1/assets.extra/mdr.json").read_text())["log"])
    rows = table.head(ROWS)
    return SimpleNamespace(
        rows=rows, log=log, probability=pl.read_parquet(place / "out.parquet")["probability"]
    )


@pytest.fixture(scope="module")
def predict_stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict


def ask(signature, inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "mdr", signature
    for name, values in inputs.items():
        dtype = tf.float32 if values.dtype == np.float32 else tf.string
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype))
    return request


def test_grpc_equals_the_pipeline_s_own_predictions(predict_stub, scored):
    response = predict_stub(ask("columns", raw_columns(scored.rows, scored.log)))
    np.testing.assert_allclose(
        response.outputs["probability"].float_val, scored.probability, rtol=0, atol=1e-6
    )


def test_rest_equals_the_pipeline_s_own_predictions_by_row_and_by_column(server, scored):
    columns = {}
    for name in (scored.log.domain, *scored.log.features):
        kind = "categorical" if name == scored.log.domain else scored.log.features[name].kind
        column = scored.rows[name]
        if kind == "numeric":
            column = column.cast(pl.Float64)
        elif kind == "sequence":
            column = column.str.split("|")
        columns[name] = column.to_list()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for key, given, answer in (("instances", rows, "predictions"), ("inputs", columns, "outputs")):
        status, said = curl(server, "/v1/models/mdr:predict", {"signature_name": "columns", key: given})
        assert status == 200
        np.testing.assert_allclose(said[answer], scored.probability, rtol=0, atol=1e-6)


def test_tf_examples_of_the_pipeline_are_scored_as_its_evaluation_saw_them(
    pipeline_run, predict_stub, target
):
    examples = pipeline_run.record()["components"]["LogExampleGen"]["outputs"]["examples"]["uri"]
    files = tf.io.gfile.glob(f"{examples}/Split-test/*")
    records = np.array(list(tf.data.TFRecordDataset(files, "GZIP").take(ROWS).as_numpy_iterator()), object)
    served = predict_stub(ask("serving_default", {"examples": records})).outputs["probability"].float_val
    direct = tf.saved_model.load(str(target / "1")).signatures["serving_default"](
        examples=tf.constant(records)
    )
    np.testing.assert_allclose(served, direct["probability"], rtol=0, atol=1e-6)


def test_the_page_ranks_for_a_user_in_one_domain_and_in_all(server, browser, scored):
    user = scored.rows["user_id"][0]
    place = f"http://127.0.0.1:{server.rest_port}/?user={user}"
    dom, console = browser(f"{place}&domain=channel_02", 1200)
    assert console == []
    assert dom.count("<h2>") == 1 and "<h2>channel_02</h2>" in dom
    ask_same = {"user": user, "domain": "channel_02", "k": 10}
    items = curl(server, "/v1/models/mdr:recommend", ask_same)[1]["items"]
    shown = re.findall(r"<td>\d+</td><td>([^<]+)</td><td>([\d.]+)</td>", dom)
    assert shown == [(each["item"], f"{each['probability']:.4f}") for each in items] and len(shown) == 10
    dom, console = browser(f"{place}%22%3E%3Cb%3Eevil", 400)
    assert console == [] and dom.count("<h2>") == 6 and "a user whom the logs do not know" in dom
    assert "<b>evil" not in dom


def test_items_are_ranked_by_the_model_s_probability_without_those_clicked(server, target, scored):
    users = pl.read_parquet(target / "1/assets.extra/lookup/users.parquet")
    user = users.filter(pl.col("mdr_clicked").list.len() > 3).row(0, named=True)
    asked = {"user": user["user_id"], "domain": "channel_01", "k": 500}
    status, answer = curl(server, "/v1/models/mdr:recommend", asked)
    assert status == 200 and answer["known_user"] and answer["known_domain"]
    scores = [each["probability"] for each in answer["items"]]
    ranked = [each["item"] for each in answer["items"]]
    assert scores == sorted(scores, reverse=True) and len(set(ranked)) == len(ranked) > 20
    assert not set(user["mdr_clicked"]) & set(ranked)
    # The same as scoring those rows by hand: the item's own features, the user's, the context that is given.
    item = pl.read_parquet(target / "1/assets.extra/lookup/items.parquet").filter(item_id=ranked[3])
    item = item.row(0, named=True)
    context = {"device": "tablet", "hour": "7"}
    given = {**asked, "candidates": [ranked[3], "never seen", ranked[3]], "context": context}
    items = curl(server, "/v1/models/mdr:recommend", given)[1]["items"]
    of_item = {name: item[name] for name in ("item_id", "category", "tags", "price")}
    of_user = {name: user[name] for name in ("user_id", "segment")}
    row = {"channel": "channel_01", **of_user, **of_item, **context}
    unknown = {**row, **dict.fromkeys(of_item), "item_id": "never seen"}
    body = {"signature_name": "columns", "instances": [row, unknown]}
    expected = curl(server, "/v1/models/mdr:predict", body)[1]["predictions"]
    by_item = {each["item"]: each["probability"] for each in items}
    assert by_item == pytest.approx({ranked[3]: expected[0], "never seen": expected[1]}, abs=1e-6)


def test_an_unknown_user_and_domain_get_an_answer(server):
    asked = {"user": "nobody", "domain": "nowhere", "k": 3}
    status, answer = curl(server, "/v1/models/mdr:recommend", asked)
    assert status == 200 and len(answer["items"]) == 3
    assert (answer["known_user"], answer["known_domain"]) == (False, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"usr": "1"}, "no key 'usr'; there are: user, domain, k, candidates, context. Did you mean 'user'?"),
        ({"user": 1}, "'user' must be str; it is '1'."),
        ({"k": 0}, "k is 0; it must be 1 or more."),
        ({"candidates": [1]}, "'candidates' must be a list of strings."),
        (
            {"context": {"devic": "x"}},
            "'devic' is no feature; there are: segment, category, tags, price, device",
        ),
        ({"context": {"price": "x"}}, "input 'price': row 0 is a string ('x'), not a number."),
    ],
)
def test_a_wrong_ranking_request_is_named(server, change, message):
    asked = {"user": "1", "domain": "channel_01", **change}
    status, answer = curl(server, "/v1/models/mdr:recommend", asked)
    assert status == 400 and message in answer["error"]


def test_recommend_on_the_command_line_says_the_same(server, target, tmp_path):
    (tmp_path / "items.txt").write_text("1\n2\n\n3\nnever seen\n")
    asked = {"user": "1", "domain": "channel_03", "k": 2, "candidates": ["1", "2", "3", "never seen"]}
    expected = curl(server, "/v1/models/mdr:recommend", {**asked, "context": {"price": 2.5}})[1]
    command = ["recommend", "--model", str(target), "--user", "1", "--domain", "channel_03", "-k", "2"]
    command += ["--candidates", str(tmp_path / "items.txt"), "--context", "price=2.5"]
    answer = json.loads(CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).stdout)
    assert [each["item"] for each in answer["items"]] == [each["item"] for each in expected["items"]]
    shown = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert all(f"  {each['item']}\n" in shown for each in expected["items"])
    with pytest.raises(ValueError, match=r"context: price is 'x'; it must be a number"):
        CliRunner().invoke(app, [*command, "--context", "price=x"], catch_exceptions=False)
    (tmp_path / "items.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"items.txt holds no item ids"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_it_listens_on_loopback_only_and_ctrl_c_ends_it_well(server, predict_stub):
    listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True) if shutil.which("ss") else None
    if listening:
        lines = [line for line in listening.stdout.splitlines() if f":{server.grpc_port} " in line]
        assert all("127.0.0.1" in line for line in lines) and lines
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    with pytest.raises(grpc.RpcError):
        predict_stub(predict_pb2.PredictRequest())

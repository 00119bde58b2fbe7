"""Small SavedModels with all of mdr's signatures whose answers are known, and a client for them."""

import json
import subprocess
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import input_pb2, model_pb2, predict_pb2, prediction_log_pb2

from models.export import DESCRIPTION, WARM_UP
from schema.log_schema import LogSchema

FEATURES = {"user_id": {}, "price": {"kind": "numeric"}, "tags": {"kind": "sequence", "max_length": 3}}
LOG = LogSchema(domain="channel", label={"column": "click"}, user="user_id", features=FEATURES)
SPECS = {
    "channel": tf.TensorSpec([None], tf.string, name="channel"),
    "user_id": tf.TensorSpec([None], tf.string, name="user_id"),
    "price": tf.TensorSpec([None], tf.float32, name="price"),
    "tags": tf.TensorSpec([None, None], tf.string, name="tags"),
}
FEATURE_SPEC = {
    "channel": tf.io.FixedLenFeature([], tf.string, ""),
    "user_id": tf.io.FixedLenFeature([], tf.string, ""),
    "price": tf.io.FixedLenFeature([], tf.float32, float("nan")),
    "tags": tf.io.VarLenFeature(tf.string),
}


class Known(tf.Module):
    """Answers `known_answer` of each row plus `shift`."""

    def __init__(self, shift: float):
        super().__init__()
        self.shift = tf.Variable(shift)

    def columns(self, channel, user_id, price, tags):
        """Answer raw columns."""
        letters = tf.strings.length(channel) + tf.strings.length(user_id)
        count = tf.reduce_sum(tf.cast(tags != "", tf.int32), axis=1)
        cost = tf.where(tf.math.is_finite(price), 1000 * price, 5000.0)
        return {"probability": tf.cast(letters + 100 * count, tf.float32) + cost + self.shift}

    def examples(self, examples):
        """Answer serialized tf.Examples."""
        rows = tf.io.parse_example(examples, FEATURE_SPEC)
        return self.columns(**{**rows, "tags": tf.sparse.to_dense(rows["tags"])})

    def classify(self, inputs):
        """Answer two classes."""
        score = self.examples(inputs)["probability"]
        names = tf.tile(tf.constant([["0", "1"]]), [tf.size(score), 1])
        return {"classes": names, "scores": tf.stack([1 - score, score], axis=1)}

    def regress(self, inputs):
        """Answer a number."""
        return {"outputs": self.examples(inputs)["probability"]}


def known_answer(channel="", user_id="", price=None, tags=()) -> float:
    """Return letters of domain and user + 100 per tag (three are read) + 1000 x price, 5000 without one."""
    cost = 5000 if price is None else 1000 * price
    return len(channel) + len(user_id) + 100 * len(tags[:3]) + cost


def save_known(folder: Path, shift: float = 0.0) -> Path:
    """Write the model with a warm-up request for each signature."""
    known = Known(shift)
    serialized = tf.TensorSpec([None], tf.string, name="examples")
    inputs = tf.TensorSpec([None], tf.string, name="inputs")
    signatures = {
        "columns": tf.function(known.columns).get_concrete_function(**SPECS),
        "serving_default": tf.function(known.examples).get_concrete_function(serialized),
        "classify": tf.function(known.classify).get_concrete_function(inputs),
        "regress": tf.function(known.regress).get_concrete_function(inputs),
    }
    tf.saved_model.save(known, str(folder), signatures=signatures)
    (folder / "assets.extra").mkdir()
    (folder / DESCRIPTION).write_text(json.dumps({"log": LOG.model_dump(mode="json")}))
    spec = model_pb2.ModelSpec(name="mdr", signature_name="columns")
    request = predict_pb2.PredictRequest(model_spec=spec)
    for name, spec in SPECS.items():
        value = [float("nan")] if spec.dtype == tf.float32 else [[""]] if name == "tags" else [""]
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, spec.dtype))
    spec = model_pb2.ModelSpec(name="mdr", signature_name="regress")
    regress = {"model_spec": spec, "input": input_pb2.Input()}
    regress["input"].example_list.examples.add()
    with tf.io.TFRecordWriter(str(folder / WARM_UP)) as writer:
        for log in ({"predict_log": {"request": request}}, {"regress_log": {"request": regress}}):
            writer.write(prediction_log_pb2.PredictionLog(**log).SerializeToString())
    return folder


def predict_request(rows: list[dict], signature: str = "columns") -> predict_pb2.PredictRequest:
    """Return rows as a Predict request, as a client of TF Serving makes it."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "mdr", signature
    for name in rows[0]:
        values = [row[name] for row in rows]
        dtype = tf.float32 if name == "price" else tf.string
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype))
    return request


def curl(server, path, body=None):
    """Return HTTP status and answer, as curl sees them."""
    command = ["curl", "-sS", "-w", "\n%{http_code}", f"http://127.0.0.1:{server.rest_port}{path}"]
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = [] if data is None else ["--data-binary", "@-"]
    done = subprocess.run([*command, *extra], input=data, capture_output=True, check=True)
    answer, _, status = done.stdout.decode().rpartition("\n")
    return int(status), answer if path == "/metrics" else json.loads(answer)

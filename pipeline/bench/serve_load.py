"""The processes of `mdr bench serve`: clients of a server, and bare calls of the model's function."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from models.export import DESCRIPTION
from schema.log_schema import LogSchema

PREDICT = "/tensorflow.serving.PredictionService/Predict"
WARM_UP_CALLS = 20


@cache
def random_columns(model: Path, rows: int) -> dict[str, list]:
    """Return columns of random rows; strings come from the model's own vocabularies."""
    log = LogSchema.model_validate(json.loads((model / DESCRIPTION).read_text(encoding="utf-8"))["log"])
    random = np.random.default_rng(0)

    def strings(name: str, count: int) -> list[str]:
        known = (model / "assets" / name).read_text(encoding="utf-8").split("\n")[:-1]
        return [known[index] for index in random.integers(len(known), size=count)]

    columns = {log.domain: strings(log.domain, rows)}
    for name, feature in log.features.items():
        if feature.kind == "numeric":
            columns[name] = random.normal(10, 5, rows).round(2).tolist()
        elif feature.kind == "sequence":
            values = strings(name, rows * feature.max_length)
            columns[name] = np.reshape(values, (rows, feature.max_length)).tolist()
        else:
            columns[name] = strings(name, rows)
    return columns


def bare_calls(connection: Connection, model: Path, split: bool) -> None:
    """Process: call the SavedModel's function with tensors that are there already.

    Args:
        connection: gets (rows, clients, seconds), is sent the seconds of each call; ends with None.
        model: the SavedModel. split: whether one operation may use several threads, as TensorFlow comes.
    """
    import tensorflow as tf

    if not split:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(model))
    function = loaded.signatures["columns"]
    specs = function.structured_input_signature[1]
    connection.send("ready")
    while task := connection.recv():
        rows, clients, seconds = task
        columns = random_columns(model, rows)
        tensors = {name: tf.constant(columns[name], spec.dtype) for name, spec in specs.items()}

        def client(tensors=tensors):
            return lambda: function(**tensors)["probability"].numpy()

        connection.send(closed_loop(client, clients, seconds))


def server_calls(connection: Connection, model: Path, grpc_address: str, rest_port: int) -> None:
    """Process: call a server.

    Args:
        connection: gets (protocol, rows, clients, seconds), is sent the seconds of each call; with the
            protocol `flood` the clients are calls per second, and it is sent what `flood` returns; ends with
            None.
        model: what is served. grpc_address, rest_port: where.
    """
    import grpc

    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    connection.send("ready")
    while task := connection.recv():
        protocol, rows, clients, seconds = task
        request = predict_request(model, rows)
        body = json.dumps({"signature_name": "columns", "inputs": random_columns(model, rows)}).encode()

        def by_grpc(request=request):
            call = grpc.insecure_channel(grpc_address, options).unary_unary(PREDICT)
            return lambda: call(request)

        def by_rest(body=body):
            http = HTTPConnection("127.0.0.1", rest_port)

            def call():
                http.request("POST", "/v1/models/mdr:predict", body)
                response = http.getresponse()
                if response.status != 200:
                    raise RuntimeError(response.read())
                response.read()

            return call

        if protocol == "flood":
            with grpc.insecure_channel(grpc_address, options) as channel:
                connection.send(flood(channel.unary_unary(PREDICT), request, clients, seconds))
        else:
            connection.send(closed_loop(by_grpc if protocol == "grpc" else by_rest, clients, seconds))


def predict_request(model: Path, rows: int) -> bytes:
    """Return a serialized Predict request for the signature `columns`."""
    import tensorflow as tf
    from tensorflow_serving.apis import model_pb2, predict_pb2

    spec = model_pb2.ModelSpec(name="mdr", signature_name="columns")
    request = predict_pb2.PredictRequest(model_spec=spec)
    for name, values in random_columns(model, rows).items():
        dtype = tf.float32 if isinstance(values[0], float) else tf.string
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype))
    return request.SerializeToString()


def closed_loop(client: Callable[[], Callable], clients: int, seconds: float) -> list[float]:
    """Return the seconds of each call, of clients that call again as soon as they are answered.

    Args:
        client: makes the call of one client. clients: their number. seconds: how long they go on.
    """
    calls = [client() for _ in range(clients)]
    for call in calls:
        for _ in range(max(1, WARM_UP_CALLS // clients)):
            call()
    taken: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds

    def work(call: Callable, taken: list[float]) -> None:
        now = time.perf_counter()
        while now < end:
            call()
            before, now = now, time.perf_counter()
            taken.append(now - before)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(calls, taken, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for one in taken for each in one]


def flood(call, request: bytes, per_second: float, seconds: float) -> dict:
    """Send requests at a fixed rate, whatever comes back.

    Returns:
        `sent_per_s`, `statuses` (how often each came) and `seconds` of those that were answered.
    """
    futures, started = [], time.perf_counter()
    while (now := time.perf_counter() - started) < seconds:
        for _ in range(int(now * per_second) - len(futures)):
            begun, taken = time.perf_counter(), []
            future = call.future(request, timeout=60)
            future.add_done_callback(
                lambda _, begun=begun, taken=taken: taken.append(time.perf_counter() - begun)
            )
            futures.append((future, taken))
        time.sleep(0.001)
    sent_per_s = len(futures) / (time.perf_counter() - started)
    codes = [future.code().name for future, _ in futures]
    answered = [taken[0] for (_, taken), code in zip(futures, codes, strict=True) if code == "OK" and taken]
    return {"sent_per_s": round(sent_per_s), "statuses": dict(Counter(codes)), "seconds": answered}

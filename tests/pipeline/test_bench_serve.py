"""What `mdr bench serve` makes of its measurements, and its open-loop client against a real server."""

import json
from collections import Counter

import grpc
import pytest
from served_models import predict_request, save_known

from pipeline.bench import serve as bench
from pipeline.bench.serve_load import PREDICT, closed_loop, flood, random_columns
from pipeline.serve.server import Server, ServeSettings


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    save_known(folder / "1")
    return folder


def turn(server, bare):
    return {"bare": [bare], "bare_one_thread": [bare / 2], "bare_same_clients": [bare * 2], **server}


def test_overhead_is_the_time_per_request_over_that_of_a_bare_call():
    turns = [turn({"grpc": [0.4, 0.6], "rest": [0.8]}, 0.1), turn({"grpc": [0.5], "rest": [0.8]}, 0.1)]
    figures = bench._figures([*turns, turn({"grpc": [50.0], "rest": [0.8]}, 0.1)], clients=4)
    assert figures["grpc"]["requests_per_s"] == 8 and figures["bare"]["requests_per_s"] == 10
    assert figures["grpc"]["bare"] == pytest.approx(0.25)  # 0.5 s by four clients at once, against 0.1 s
    assert figures["grpc"]["bare_one_thread"] == pytest.approx(1.5)
    assert figures["grpc"]["bare_same_clients"] == pytest.approx(1.5)  # four callers: 0.05 s each
    assert figures["rest"]["bare"] == pytest.approx(1.0)
    assert figures["grpc"]["p50_ms"] == 500 and figures["rest"]["p99_ms"] == 800


def test_closed_loop_clients_call_again_once_they_are_answered():
    calls = Counter()

    def client():
        number = len(calls)
        calls[number] = 0

        def call():
            calls[number] += 1

        return call

    taken = closed_loop(client, clients=3, seconds=0.05)
    assert len(calls) == 3 and sum(calls.values()) > len(taken) > 3


def test_a_flood_is_answered_or_refused_and_nothing_else(target):
    server = Server(ServeSettings(target, rest_port=0, grpc_port=0, max_rows=100))
    request = predict_request([{"channel": "news"}] * 50).SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        came = flood(channel.unary_unary(PREDICT), request, per_second=3000, seconds=0.7)
    server.stop()
    assert set(came["statuses"]) == {"OK", "RESOURCE_EXHAUSTED"}
    assert len(came["seconds"]) == came["statuses"]["OK"]


def test_random_rows_have_the_model_s_own_values(target):
    (target / "1" / "assets").mkdir(exist_ok=True)
    for name in ("channel", "user_id", "tags"):
        (target / "1" / "assets" / name).write_text(f"{name}_a\n{name}_b\n")
    columns = random_columns(target / "1", 40)
    assert set(columns) == {"channel", "user_id", "price", "tags"}
    assert set(columns["channel"]) == {"channel_a", "channel_b"}
    assert {len(tags) for tags in columns["tags"]} == {3} and isinstance(columns["price"][0], float)
    assert json.dumps(columns)

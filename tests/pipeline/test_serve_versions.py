"""Versions come and go under load: no request fails, and what cannot be served is passed over."""

import shutil
import threading
import time
from types import SimpleNamespace

import grpc
import pytest
import tensorflow as tf
from served_models import curl, known_answer, predict_request, save_known
from tensorflow_serving.apis import prediction_service_pb2_grpc

from models.export import WARM_UP
from pipeline.serve import versions
from pipeline.serve.served_model import LoadError
from pipeline.serve.server import Server, ServeSettings

ROW = {"channel": "news", "user_id": "1", "price": 1.0}
SHIFTS = {1: 0.0, 2: 10.0, 3: 20.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return {number: save_known(place / str(number), shift) for number, shift in SHIFTS.items()}


@pytest.fixture
def target(tmp_path, models):
    shutil.copytree(models[1], tmp_path / "serving" / "1")
    return tmp_path / "serving"


@pytest.fixture
def server(target):
    started = Server(ServeSettings(target, rest_port=0, grpc_port=0, poll_seconds=0.05))
    yield started
    started.stop()


class Load:
    """Clients that call without a pause, by gRPC and REST, and what they were answered."""

    def __init__(self, server, clients=4):
        self.answers, self.errors, self._stop = [], [], threading.Event()
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        works = [self._by_grpc] * clients + [lambda: self._by_rest(server)]
        self._threads = [threading.Thread(target=self._call, args=[work]) for work in works]
        for thread in self._threads:
            thread.start()

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, work):
        while not self._stop.is_set():
            try:
                self.answers.append(work())
            except Exception as error:
                self.errors.append(error)

    def _by_grpc(self):
        response = self._predict(predict_request([ROW]))
        return response.model_spec.version.value, response.outputs["probability"].float_val[0]

    def _by_rest(self, server):
        body = {"signature_name": "columns", "instances": [ROW]}
        status, answer = curl(server, "/v1/models/mdr:predict", body)
        assert status == 200, answer
        return None, answer["predictions"][0]


def wait_for_version(server, number):
    deadline = time.monotonic() + 30
    while server.versions.get("mdr").number != number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def push(model, target, number):
    shutil.copytree(model, target / f".staging-{number}")
    (target / f".staging-{number}").rename(target / str(number))


def test_versions_are_swapped_under_load_without_a_failed_request(server, target, models):
    load = Load(server)
    for number in (2, 3):
        push(models[number], target, number)
        wait_for_version(server, number)
    shutil.move(target / "3", target / ".rolled_back-3")
    wait_for_version(server, 2)
    time.sleep(0.1)
    load.end()
    assert load.errors == []
    seen = {version for version, _ in load.answers} - {None}
    assert seen == {1, 2, 3}
    expected = {number: known_answer("news", "1", 1.0) + shift for number, shift in SHIFTS.items()}
    assert all(answer == expected[version] for version, answer in load.answers if version)
    assert {answer for version, answer in load.answers if version is None} <= set(expected.values())


def test_requests_that_run_when_the_server_is_stopped_get_their_answer(target):
    server = Server(ServeSettings(target, rest_port=0, grpc_port=0))
    load = Load(server)
    while len(load.answers) < 20:
        time.sleep(0.01)
    server.stop()
    load.end()
    refused = {error.code() for error in load.errors if isinstance(error, grpc.RpcError)}
    assert refused <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}  # they came too late
    assert all(answer == known_answer("news", "1", 1.0) for _, answer in load.answers)
    # Each request that the server began was answered, and each answer reached its client.
    ended = [
        line for line in server.metrics.text().decode().splitlines() if line.startswith("mdr_requests_t")
    ]
    answered = sum(version is not None for version, _ in load.answers)
    assert f'mdr_requests_total{{api="grpc",method="Predict",status="OK"}} {answered:.1f}' in ended
    assert all('status="OK"' in line for line in ended)


def no_warm_up(folder):
    (folder / WARM_UP).unlink()


def not_finite(folder):
    shutil.rmtree(folder)
    save_known(folder, float("nan"))


def half_copied(folder):
    shutil.rmtree(folder / "variables")


def corrupt(folder):
    (folder / "saved_model.pb").write_bytes(b"no model")


def foreign(folder):
    (folder / "assets.extra" / "mdr.json").unlink()


@pytest.mark.parametrize("damage", [no_warm_up, not_finite, half_copied, corrupt, foreign])
def test_a_version_that_cannot_be_served_is_passed_over_and_its_error_told(
    server, target, models, tmp_path, damage
):
    shutil.copytree(models[2], tmp_path / "broken")
    damage(tmp_path / "broken")
    shutil.copytree(models[2], tmp_path / "whole")
    (tmp_path / "broken").rename(target / "2")
    deadline = time.monotonic() + 30
    while server.versions.states("mdr").get(2, ("",))[0] != "END":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.versions.get("mdr").number == 1
    shown = curl(server, "/v1/models/mdr")[1]["model_version_status"]
    assert [(version["version"], version["state"]) for version in shown] == [("2", "END"), ("1", "AVAILABLE")]
    assert shown[0]["status"]["error_code"] == "UNKNOWN" and "2" in shown[0]["status"]["error_message"]
    # A folder that was still being copied serves once it is whole.
    shutil.copytree(tmp_path / "whole", target / "2", dirs_exist_ok=True)
    wait_for_version(server, 2)


@pytest.fixture
def looking(tmp_path, monkeypatch):
    """The versions of a target whose models are only pretended; `short` holds those that lack memory."""
    short = set()

    def load(folder, batching):
        if int(folder.name) in short:
            raise LoadError("MemoryError")
        return SimpleNamespace(number=int(folder.name))

    monkeypatch.setattr(versions, "ServedModel", load)
    for number in ("6", "7"):
        (tmp_path / number).mkdir()
    return SimpleNamespace(target=tmp_path, short=short, versions=versions.Versions(tmp_path, "mdr", None))


def test_a_version_that_failed_for_a_passing_reason_is_tried_again_a_minute_later(looking, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    looking.short.add(7)
    looking.versions.look()
    looking.short.clear()
    now += 59
    looking.versions.look()
    assert looking.versions.get("mdr").number == 6
    now += 1
    looking.versions.look()
    assert looking.versions.get("mdr").number == 7


@pytest.mark.parametrize("number", [6, 7])
def test_after_a_rollback_the_version_before_serves_even_if_it_had_failed(looking, number):
    looking.short.add(7)
    looking.versions.look()
    (looking.target / "8").mkdir()
    looking.versions.look()
    assert looking.versions.get("mdr").number == 8
    if number == 7:
        looking.short.clear()
    (looking.target / "8").rename(looking.target / ".rolled_back-8")
    looking.versions.look()
    assert looking.versions.get("mdr").number == number


def test_a_server_starts_with_the_newest_version_that_can_be_served(target, models):
    push(models[2], target, 2)
    corrupt(target / "2")
    (target / "7.tmp").mkdir()
    server = Server(ServeSettings(target, rest_port=0, grpc_port=0))
    assert server.versions.get("mdr").number == 1
    server.stop()


def test_a_target_without_a_version_is_said(tmp_path, target):
    with pytest.raises(ValueError, match=r"nowhere holds no version that can be served; mdr run pushes one"):
        Server(ServeSettings(tmp_path / "nowhere", rest_port=0, grpc_port=0))
    with pytest.raises(
        ValueError, match=r"serving/1 is a version itself; give the folder of versions, .*serving"
    ):
        Server(ServeSettings(target / "1", rest_port=0, grpc_port=0))
    corrupt(target / "1")
    with pytest.raises(ValueError, match=r"holds no version that can be served: .*1: "):
        Server(ServeSettings(target, rest_port=0, grpc_port=0))


def test_excess_load_is_refused_with_its_status_and_nothing_else(target):
    server = Server(ServeSettings(target, rest_port=0, grpc_port=0, max_rows=40))
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
    request = predict_request([ROW] * 32)
    calls = [predict.future(request) for _ in range(3000)]
    codes = [call.code() for call in calls]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    answer = known_answer("news", "1", 1.0)
    for call, code in zip(calls, codes, strict=True):
        if code == grpc.StatusCode.OK:
            assert list(tf.make_ndarray(call.result().outputs["probability"])) == [answer] * 32
    server.stop()

"""Merging: what runs together, who waits, who is refused."""

import threading
import time

import numpy as np
import pytest

from pipeline.serve.batcher import Batcher, Queue
from pipeline.serve.errors import InvalidRequest, Overloaded


class Slow:
    """Doubles its rows; each call waits until it is let go."""

    def __init__(self):
        self.batches, self.go, self.running = [], threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, inputs):
        self.running.release()
        assert self.go.acquire(timeout=30)
        self.batches.append(list(inputs["x"]))
        if "bad" in inputs["x"]:
            raise ValueError("bad row")
        return {"y": np.array([2 * x for x in inputs["x"]]), "z": inputs["n"]}


def request(batcher, *values):
    """Start a request in a thread; return the thread and where its outcome goes."""
    outcome = {}

    def run():
        try:
            given = {"x": list(values), "n": np.arange(len(values))}
            outcome.update(batcher.run(given, len(values)))
        except Exception as error:
            outcome["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def waits_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def slow():
    return Slow()


def start(batcher, slow, queue, first, *others):
    """Start a request, and once it runs the others one after the other."""
    requests = [request(batcher, *first)]
    assert slow.running.acquire(timeout=30)
    for values in others:
        rows = queue.rows
        requests.append(request(batcher, *values))
        waits_until(lambda rows=rows, values=values: queue.rows == rows + len(values))
    time.sleep(0.02)  # counted in, and now waiting
    return requests


def finish(slow, requests):
    for _ in requests:
        slow.go.release()
        slow.go.release()
    for thread, _ in requests:
        thread.join(30)
    return [outcome for _, outcome in requests]


def test_what_waits_during_a_call_runs_in_the_next_one_and_gets_its_own_rows(slow):
    queue = Queue(100, 100)
    batcher = Batcher(slow, queue, max_rows=4, turns=1)
    requests = start(batcher, slow, queue, [1], [2, 3], [4], [5, 6], [7])
    outcomes = finish(slow, requests)
    assert [list(outcome["y"]) for outcome in outcomes] == [[2], [4, 6], [8], [10, 12], [14]]
    assert slow.batches == [[1], [2, 3, 4], [5, 6, 7]]  # at most four rows
    assert [list(outcome["z"]) for outcome in outcomes] == [[0], [0, 1], [0], [0, 1], [0]]
    assert queue.rows == 0


def test_a_request_larger_than_a_batch_runs_alone(slow):
    queue = Queue(100, 100)
    batcher = Batcher(slow, queue, max_rows=2, turns=1)
    finish(slow, start(batcher, slow, queue, [1], [2, 3, 4], [5]))
    assert slow.batches == [[1], [2, 3, 4], [5]]


def test_turns_run_beside_each_other(slow):
    queue = Queue(100, 100)
    batcher = Batcher(slow, queue, max_rows=4, turns=2)
    requests = start(batcher, slow, queue, [1], [2])
    assert slow.running.acquire(timeout=30)  # both run, none has ended
    assert slow.batches == []
    assert all(outcome["y"] for outcome in finish(slow, requests))


def test_a_full_queue_refuses_and_has_room_again_later(slow):
    queue = Queue(3, 100)
    batcher = Batcher(slow, queue, max_rows=4, turns=1)
    requests = start(batcher, slow, queue, [1], [2, 3])
    with pytest.raises(Overloaded, match="2 requests with 3 rows wait; 100 with 3 may"):
        batcher.run({"x": [4], "n": np.arange(1)}, 1)
    with pytest.raises(InvalidRequest, match="takes at most 3"):
        batcher.run({"x": [4] * 4, "n": np.arange(4)}, 4)
    finish(slow, requests)
    slow.go.release()
    assert batcher.run({"x": [4], "n": np.arange(1)}, 1)["y"] == [8]


def test_a_wrong_request_does_not_spoil_its_neighbours(slow):
    queue = Queue(100, 100)
    batcher = Batcher(slow, queue, max_rows=4, turns=1)
    requests = start(batcher, slow, queue, [1], [2], ["bad"], [3])
    slow.go.release()
    slow.go.release()
    outcomes = finish(slow, requests)
    assert [list(outcomes[i]["y"]) for i in (0, 1, 3)] == [[2], [4], [6]]
    assert str(outcomes[2]["error"]) == "bad row"
    assert queue.rows == 0
    slow.go.release()
    assert batcher.run({"x": [4], "n": np.arange(1)}, 1)["y"] == [8]  # the turn came back

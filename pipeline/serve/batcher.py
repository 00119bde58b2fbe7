"""Merges the requests that wait while others run: many small calls of a model become few large ones."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.serve.errors import Overloaded, check_rows

Inputs = dict[str, Any]  # by name: the values of all rows, in one list or array
Outputs = dict[str, np.ndarray]


@dataclass(eq=False)
class _Request:
    inputs: Inputs
    rows: int
    outputs: Outputs | None = None
    error: Exception | None = None
    wake: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        return self.outputs is not None or self.error is not None


class Queue:
    """How much may wait in a server; shared by all its batchers.

    Args:
        max_rows: over all requests. max_requests: each holds a thread.
    """

    def __init__(self, max_rows: int, max_requests: int):
        self.max_rows, self._max_requests = max_rows, max_requests
        self._rows = self._requests = 0
        self._lock = threading.Lock()

    @property
    def rows(self) -> int:
        """Rows that wait or run now."""
        return self._rows

    def enter(self, rows: int) -> None:
        """Count the rows of a request in.

        Raises:
            Overloaded: there is no room for them now. InvalidRequest: there never is.
        """
        check_rows(rows, self.max_rows)
        with self._lock:
            if self._rows + rows > self.max_rows or self._requests == self._max_requests:
                raise Overloaded(
                    f"{self._requests} requests with {self._rows:,} rows wait; {self._max_requests} with"
                    f" {self.max_rows:,} may. Try again in a moment."
                )
            self._rows += rows
            self._requests += 1

    def leave(self, rows: int) -> None:
        """Count the rows of a request out."""
        with self._lock:
            self._rows -= rows
            self._requests -= 1


class Batcher:
    """Runs requests for one function: at once while there is a free turn, else merged with those that wait.

    No thread of its own and no delay: a request's own thread takes the turn, runs itself and those that wait
    behind it, and hands the turn to the next one that waits. A lone request is never held up; under load each
    turn takes what came during the last one, up to `max_rows`.

    Args:
        function: maps inputs of any number of rows to outputs with as many.
        queue: where the rows count while they wait.
        max_rows: of a merged batch. A larger request runs alone.
        turns: batches that run at the same time.
        ran: told the rows of each batch.
    """

    def __init__(
        self,
        function: Callable[[Inputs], Outputs],
        queue: Queue,
        max_rows: int,
        turns: int,
        ran: Callable[[int], None] = lambda rows: None,
    ):
        self._function, self._queue, self._max_rows, self._ran = function, queue, max_rows, ran
        self._free, self._lock = turns, threading.Lock()
        self._waiting: deque[_Request] = deque()

    def run(self, inputs: Inputs, rows: int) -> Outputs:
        """Return the outputs of one request; waits for its turn.

        Args:
            inputs: by name. rows: their number.

        Raises:
            ServeError: the queue is full, or the request is wrong. Exception: as the function raised it.
        """
        self._queue.enter(rows)
        try:
            request = _Request(inputs, rows)
            with self._lock:
                if waits := self._free == 0:
                    self._waiting.append(request)
                else:
                    self._free -= 1
            if waits:
                request.wake.wait()
            if not request.ended:  # it has a turn, at once or woken to take it
                self._take_turn(request)
        finally:
            self._queue.leave(rows)
        if request.error:
            raise request.error
        return request.outputs

    def _take_turn(self, head: _Request) -> None:
        batch = self._batch_of(head)
        try:
            self._run_batch(batch)
        finally:
            with self._lock:
                follower = self._waiting.popleft() if self._waiting else None
                self._free += follower is None
            for request in batch[1:]:
                request.wake.set()
            if follower:
                follower.wake.set()

    def _batch_of(self, head: _Request) -> list[_Request]:
        batch, rows = [head], head.rows
        with self._lock:
            while self._waiting and rows + self._waiting[0].rows <= self._max_rows:
                batch.append(self._waiting.popleft())
                rows += batch[-1].rows
        return batch

    def _run_batch(self, batch: list[_Request]) -> None:
        try:
            outputs = self._function(merge([request.inputs for request in batch]))
            self._ran(sum(request.rows for request in batch))
            first = 0
            for request in batch:
                rows = slice(first, first + request.rows)
                request.outputs = {name: output[rows] for name, output in outputs.items()}
                first += request.rows
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:  # one wrong request must not spoil its neighbours
                self._run_batch([request])


def merge(requests: list[Inputs]) -> Inputs:
    """Return the rows of all requests, one after the other."""
    if len(requests) == 1:
        return requests[0]
    merged = {}
    for name, first in requests[0].items():
        parts = [request[name] for request in requests]
        if isinstance(first, np.ndarray):
            merged[name] = np.concatenate(parts)
        else:
            merged[name] = [value for part in parts for value in part]
    return merged

"""What Prometheus is told."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class Metrics:
    """The metrics of one server."""

    def __init__(self):
        self._registry = CollectorRegistry()
        labels = ["api", "method"]
        self._requests = Counter(
            "mdr_requests", "Requests that ended", [*labels, "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "mdr_request_seconds", "Their duration", labels, buckets=SECONDS, registry=self._registry
        )
        self._batches = Histogram(
            "mdr_batch_rows", "Rows of each merged batch", buckets=ROWS, registry=self._registry
        )
        self.waiting = Gauge("mdr_waiting_rows", "Rows that wait or run", registry=self._registry)
        self.version = Gauge("mdr_version", "Version that serves", registry=self._registry)
        self.batch_ran = self._batches.observe

    @contextmanager
    def request(self, api: str, method: str) -> Iterator[list[str]]:
        """Measure one request; the list that it gives holds the status, "OK" unless it is replaced."""
        status, started = ["OK"], time.perf_counter()
        try:
            yield status
        finally:
            self._seconds.labels(api, method).observe(time.perf_counter() - started)
            self._requests.labels(api, method, status[0]).inc()

    def text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)

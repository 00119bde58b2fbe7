"""One server: the versions of a push target behind gRPC and REST, until it is stopped."""

import os
import signal
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from components.model_pusher.serving_config import MAX_BATCH_ROWS
from pipeline.serve.batcher import Queue
from pipeline.serve.grpc_api import create_server
from pipeline.serve.metrics import Metrics
from pipeline.serve.rest_api import Rest
from pipeline.serve.served_model import Batching
from pipeline.serve.versions import Versions

MAX_REQUESTS = 64  # at the same time; they mostly wait for their turn
THREADS = MAX_REQUESTS + 16  # of each protocol: there is always one to say no
GRACE_SECONDS = 20  # for requests that run when the server is stopped


@dataclass(frozen=True)
class ServeSettings:
    """How a server is reached and bounded.

    Attributes:
        target: the push target. name: of the model in requests.
        host: address to listen on; the default takes no connection from other machines.
        rest_port, grpc_port: 0 takes a free one.
        max_bytes: of one request. max_rows: that wait or run at the same time, over all requests.
        poll_seconds: between two looks for a new version.
    """

    target: Path
    name: str = "mdr"
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    max_bytes: int = 16 * 2**20
    max_rows: int = 16_384
    poll_seconds: float = 1.0


class Server:
    """A started server.

    Args:
        settings: how it is reached and bounded.

    Attributes:
        rest_port, grpc_port: where it listens. versions: what it serves. metrics: what it counted.

    Raises:
        ValueError: the target holds no version that can be served.
        OSError: a port is in use.
    """

    def __init__(self, settings: ServeSettings):
        self.metrics = metrics = Metrics()
        queue = Queue(settings.max_rows, MAX_REQUESTS)
        metrics.waiting.set_function(lambda: queue.rows)
        batching = Batching(queue, MAX_BATCH_ROWS, os.cpu_count() or 1, metrics.batch_ran)
        self.versions = Versions(settings.target, settings.name, batching, metrics.version.set)
        # Ports first: a wrong one is said at once, not after the model was loaded.
        self._socket = _listen(settings.host, settings.rest_port)
        self.rest_port = self._socket.getsockname()[1]
        try:
            self._grpc, self.grpc_port = create_server(
                self.versions,
                metrics,
                address(settings.host, settings.grpc_port),
                THREADS,
                settings.max_bytes,
            )
            self.versions.start(settings.poll_seconds)
        except BaseException:
            self._socket.close()
            raise
        self._rest = Rest(self.versions, metrics, THREADS, settings.max_bytes)
        config = uvicorn.Config(
            self._rest.app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        self._grpc.start()

    def stop(self) -> None:
        """Take no new requests, answer those that run, and end."""
        ended = self._grpc.stop(GRACE_SECONDS)
        self._uvicorn.should_exit = True
        self._thread.join()
        ended.wait()
        self._rest.stop()
        self.versions.stop()


def serve(settings: ServeSettings, started) -> None:
    """Serve until SIGTERM or Ctrl-C; a second one ends at once.

    Args:
        settings: how the server is reached and bounded. started: called with the server once it answers.

    Raises:
        ValueError, OSError: see `Server`.
    """
    import tensorflow as tf

    # Requests run beside each other instead: splitting the small operations of one costs more than it gains.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    server = Server(settings)
    stopped = threading.Event()

    def stop(number, frame):
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    started(server)
    stopped.wait()
    server.stop()


def address(host: str, port: int) -> str:
    """Return `host:port` as URLs and gRPC have it, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, for asyncio switches Nagle's delay of 40 ms off for this protocol only.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(socket.SOMAXCONN)  # now: a client that comes before uvicorn does waits
    except OSError as error:
        listener.close()
        raise OSError(
            f"cannot listen on {address(host, port)}: {error.strerror}. Give another --rest-port or --host."
        ) from None
    return listener

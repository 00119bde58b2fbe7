"""What a client did wrong or must wait for, with the status that gRPC and HTTP have for it."""

from http import HTTPStatus

import grpc


class ServeError(Exception):
    """A request that gets no answer; the message says why."""

    grpc = grpc.StatusCode.INTERNAL
    http = HTTPStatus.INTERNAL_SERVER_ERROR


class InvalidRequest(ServeError):
    """The request itself is wrong; sending it again does not help."""

    grpc = grpc.StatusCode.INVALID_ARGUMENT
    http = HTTPStatus.BAD_REQUEST


class TooManyRows(InvalidRequest):
    """There is never room for so many rows: `rows` of a request, `most` that the server takes."""

    def __init__(self, rows: int, most: int):
        super().__init__(f"{rows:,} rows in one request; this server takes at most {most:,}.")


class NotServed(ServeError):
    """There is no such model, version or signature."""

    grpc = grpc.StatusCode.NOT_FOUND
    http = HTTPStatus.NOT_FOUND


class TooLarge(ServeError):
    """The request has more bytes than the server takes."""

    grpc = grpc.StatusCode.RESOURCE_EXHAUSTED  # as gRPC itself answers a message that is too large
    http = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Overloaded(ServeError):
    """The queue is full; the same request may be answered a moment later."""

    grpc = grpc.StatusCode.RESOURCE_EXHAUSTED
    http = HTTPStatus.TOO_MANY_REQUESTS


class Stopping(ServeError):
    """The server ends and takes no new requests."""

    grpc = grpc.StatusCode.UNAVAILABLE
    http = HTTPStatus.SERVICE_UNAVAILABLE

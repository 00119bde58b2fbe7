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


def check_rows(rows: int, most: int) -> None:
    """Refuse a request of more rows than there is ever room for.

    Args:
        rows: of the request. most: that the server takes.

    Raises:
        InvalidRequest: there are more.
    """
    if rows > most:
        raise InvalidRequest(f"{rows:,} rows in one request; this server takes at most {most:,}.")

"""The error of the server and its clients: a gRPC code and one line."""

from __future__ import annotations

import grpc


class ServingError(RuntimeError):
    """What went wrong with a request, with the code that the protocol gives it.

    Args:
        code: grpc.StatusCode.
        message: str. One line, as TensorFlow Serving words it where it has words.
        address: str. The server that answered, in a client.

    Example:
    >>> error = ServingError(grpc.StatusCode.NOT_FOUND, "no such model", "localhost:8500")
    >>> str(error)
    'localhost:8500: NOT_FOUND: no such model'
    """

    def __init__(self, code: grpc.StatusCode, message: str, address: str = "") -> None:
        prefix = f"{address}: " if address else ""
        super().__init__(f"{prefix}{code.name}: {message}")
        self.code = code
        self.message = message
        self.address = address


def invalid_argument(message: str) -> ServingError:
    """Most mistakes are of this kind."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)

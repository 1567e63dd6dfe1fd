"""A server of SavedModels that clients of TensorFlow Serving can use, in this process."""

from .server import Server, serve_forever

__all__ = ["Server", "serve_forever"]

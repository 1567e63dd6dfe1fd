"""A server of SavedModels that clients of TensorFlow Serving can use, in this process."""

from .options import ServerOptions
from .serve import serve_forever
from .server import Server

__all__ = ["Server", "ServerOptions", "serve_forever"]

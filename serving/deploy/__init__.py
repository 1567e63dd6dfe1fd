"""What a team runs in production: the real TensorFlow Serving, set up from the exports."""

from .deployment import deploy

__all__ = ["deploy"]

"""Forgetting the gradients of a loaded model: a server does not differentiate."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Loading registers every custom gradient of a SavedModel under a name of its own, for ever, and
# each holds the whole graph of its function: hundreds of megabytes a version of a recurrent model.
from tensorflow.python.framework.ops import gradient_registry

_lock = threading.Lock()


@contextmanager
def without_gradients() -> Iterator[None]:
    """Forgets the gradients that are registered while the block runs, one block at a time.

    Example:
    >>> import tensorflow as tf
    >>> with without_gradients():
    ...     _ = tf.RegisterGradient("ExampleOfThisDocstring")(lambda op, grad: grad)
    >>> "ExampleOfThisDocstring" in gradient_registry.list()
    False
    """
    with _lock:
        before = set(gradient_registry.list())
        try:
            yield
        finally:
            for name in set(gradient_registry.list()) - before:
                del gradient_registry._registry[name]

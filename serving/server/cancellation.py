"""How a running request is stopped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

# TensorFlow has no public name for this. Its own context manager around it is of no use here: it
# keeps the manager in a global of the process, and requests run in many threads.
from tensorflow.python.eager.cancellation import CancellationManager

# TensorFlow never frees a manager. One that has not been used is as good as new, so there are no
# more than runs at once, and those that were.
_unused: deque[Any] = deque()


class Cancellation:
    """Stops the run of a request from another thread.

    Example:
    >>> cancellation = Cancellation()
    >>> cancellation.cancel()
    >>> cancellation.cancelled
    True
    """

    def __init__(self) -> None:
        self.cancelled = False
        self._manager: Any = None
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Makes the run fail as soon as it notices, and runs to come at once; a run that has
        ended stays as it is."""
        with self._lock:
            self.cancelled = True
            if self._manager is not None:
                self._manager.start_cancel()

    @contextmanager
    def running(self) -> Iterator[Any]:
        """TensorFlow's manager for one run, which `cancel` reaches while the block lasts.

        Raises:
            tf.errors.CancelledError: if it was cancelled before.
        """
        try:
            manager = _unused.pop()
        except IndexError:
            manager = CancellationManager()
        with self._lock:
            if self.cancelled:
                _unused.append(manager)
                raise tf.errors.CancelledError(None, None, "The request was cancelled.")
            self._manager = manager
        try:
            yield manager
        finally:
            with self._lock:
                self._manager = None
                if not self.cancelled:
                    _unused.append(manager)

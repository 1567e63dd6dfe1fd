"""How a running request is stopped."""

from __future__ import annotations

from typing import Any

# TensorFlow has no public name for this. Its own context manager around it is of no use here: it
# keeps the manager in a global of the process, and requests run in many threads.
from tensorflow.python.eager.cancellation import CancellationManager


class Cancellation:
    """Stops one run of a model from another thread.

    Example:
    >>> cancellation = Cancellation()
    >>> cancellation.cancel()
    >>> cancellation.cancelled
    True
    """

    def __init__(self) -> None:
        self.manager: Any = CancellationManager()

    def cancel(self) -> None:
        """Makes the run fail as soon as it notices; a run that has ended stays as it is."""
        self.manager.start_cancel()

    @property
    def cancelled(self) -> bool:
        return self.manager.is_cancelled

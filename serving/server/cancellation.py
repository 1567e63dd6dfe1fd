"""How a request is stopped, before it runs or while it does."""

from __future__ import annotations

import time
from typing import Any

import grpc

# TensorFlow has no public name for this. Its own context manager around it is of no use here: it
# keeps the manager in a global of the process, and requests run in many threads.
from tensorflow.python.eager.cancellation import CancellationManager

from ..errors import ServingError

_CLOSE = 1e-3  # seconds: gRPC's clock is not this one, and ends a call by its own
# A client sends how long it waits: its own deadline passes earlier than the one that is reckoned
# here, by what the request took to be read, and then it hangs up.
_TRAVEL = 20e-3


class Cancellation:
    """Stops one run of a model from another thread, and keeps one that is too late from beginning.

    Args:
        deadline: float. On `time.monotonic`'s clock; a run is not begun after it. Default: none.

    Example:
    >>> cancellation = Cancellation(deadline=time.monotonic() + 60)
    >>> cancellation.check()
    >>> cancellation.cancel()
    >>> cancellation.cancelled
    True
    >>> print(cancellation.error())
    CANCELLED: The request was cancelled.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.cancelled = False
        self._manager: Any = None

    def cancel(self) -> None:
        """Makes the run fail as soon as it notices; a run that has ended stays as it is."""
        self.cancelled = True
        if self._manager is not None:
            self._manager.start_cancel()

    @property
    def manager(self) -> Any:
        """What the runtime is to be given. Made when a run wants it: most runs of a server that
        batches cannot be stopped."""
        if self._manager is None:
            self._manager = CancellationManager()
            if self.cancelled:  # by a thread that has not seen it
                self._manager.start_cancel()
        return self._manager

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, None if there is none."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self._is_within(_CLOSE)

    def check(self) -> None:
        """Raises `error()` if a run must not begin."""
        if self.late or self.cancelled:
            raise self.error()

    def error(self) -> ServingError:
        """What a client is told of a run that was stopped: that it is late, if it is."""
        if self._is_within(_TRAVEL if self.cancelled else _CLOSE):
            return ServingError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline of the request has passed."
            )
        return ServingError(grpc.StatusCode.CANCELLED, "The request was cancelled.")

    def _is_within(self, seconds: float) -> bool:
        remaining = self.time_remaining()
        return remaining is not None and remaining <= seconds

"""Requests that arrive within a moment, handed to the runtime's batcher as one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ..errors import ServingError
from .cancellation import Cancellation
from .run_errors import unlike_shapes
from .tensors import as_array

Done = Callable[[Any, Any], None]  # called with the arrays for its rows, or with None and the error
LOGGER = logging.getLogger(__name__)
_MOST_THREADS = 1024


class Gathering:
    """Joins calls of several requests, so that a batch enters the runtime only once.

    The first call of a group takes a thread that waits for others and then runs for all of them.
    A group is run when it is full, or when its time is over and fewer than `runs` groups are
    running: while the machine is busy, later calls gather. Full groups are always handed on, so
    how many may queue is the batcher's to decide. Calls that are given up before their group runs
    are left out.

    Args:
        run: takes a list of arrays of equal first dimensions and returns such a list, or one of
            tensors.
        max_rows: int. Rows of a group; a call with as many is run by itself.
        seconds: float. How long the first call of a group waits.
        runs: int. Groups that run at once.
        queued: int. Groups that the batcher lets wait besides, each in a thread.

    Example:
    >>> import queue
    >>> def double(arrays):
    ...     return [2 * arrays[0]]
    >>> gathering = Gathering(double, max_rows=1, seconds=0.0, runs=1, queued=0)
    >>> results = queue.Queue()
    >>> gathering.submit([np.array([1.5])], 1, lambda *result: results.put(result))
    >>> outputs, error = results.get()
    >>> outputs[0], error
    (array([3.]), None)
    """

    def __init__(
        self,
        run: Callable[[list], list],
        max_rows: int,
        seconds: float,
        runs: int,
        queued: int,
    ) -> None:
        self._run = run
        self._max_rows = max_rows
        self._seconds = seconds
        self._runs = runs
        # One more that gathers, and one whose group the batcher refuses. They end with this object.
        threads = min(runs + queued + 2, _MOST_THREADS)
        self._threads = ThreadPoolExecutor(threads, "batch")
        self._lock = threading.Lock()
        self._open: _Group | None = None
        self._running = 0

    def submit(
        self,
        inputs: list[np.ndarray],
        rows: int,
        done: Done,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Has the inputs run; `done` gets the outputs for these rows, or the error:

        - ServingError CANCELLED or DEADLINE_EXCEEDED if `cancellation` says so before the run;
        - ServingError FAILED_PRECONDITION if a call of the group has another shape inside its rows;
        - what `run` raises.
        """
        call = _Call(inputs, rows, done, cancellation)
        with self._lock:
            group = self._open
            if rows < self._max_rows and group is not None:
                if group.rows + rows <= self._max_rows:
                    self._join(group, call)
                    return
                self._close(group)
            group = _Group()
            if rows < self._max_rows:
                self._open = group
            self._join(group, call)
        self._threads.submit(self._lead, group)

    def _join(self, group: _Group, call: _Call) -> None:
        group.join(call)
        if group.rows >= self._max_rows:
            self._close(group)

    def _lead(self, group: _Group) -> None:
        if not group.closed.acquire(timeout=self._seconds):
            with self._lock:
                group.is_late = True
                if self._open is group and self._running < self._runs:
                    self._close(group)
            group.closed.acquire()
        finish = group.run(self._run)
        with self._lock:
            self._running -= 1
            if self._open is not None and self._open.is_late:
                self._close(self._open)
        finish()

    def _close(self, group: _Group) -> None:
        if self._open is group:
            self._open = None
        self._running += 1
        group.closed.release()


class _Call(NamedTuple):
    inputs: list[np.ndarray]
    rows: int
    done: Done
    cancellation: Cancellation | None

    def refusal(self) -> ServingError | None:
        try:
            if self.cancellation is not None:
                self.cancellation.check()
        except ServingError as error:
            return error
        return None


class _Group:
    def __init__(self) -> None:
        self.closed = threading.Lock()
        self.closed.acquire()  # until nobody may join any more
        self.is_late = False
        self.rows = 0
        self._calls: list[_Call] = []

    def join(self, call: _Call) -> None:
        self._calls.append(call)
        self.rows += call.rows

    def run(self, run: Callable[[list], list]) -> Callable[[], None]:
        """Runs; what is returned tells everyone."""
        refusals = [call.refusal() for call in self._calls]
        calls = [call for call, error in zip(self._calls, refusals, strict=True) if error is None]
        outputs, failure = [], None
        try:
            if calls:
                by_input = zip(*(call.inputs for call in calls), strict=True)
                outputs = [as_array(each) for each in run([_joined(parts) for parts in by_input])]
        except Exception as error:
            failure = error

        def finish() -> None:
            start = 0
            for call, refusal in zip(self._calls, refusals, strict=True):
                end = start + (call.rows if refusal is None else 0)
                error = refusal or failure
                try:
                    call.done(None if error else [array[start:end] for array in outputs], error)
                except Exception:  # one that cannot be told must not keep the others waiting
                    LOGGER.exception("A call failed")
                start = end

        return finish


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    inside = parts[0].shape[1:]
    if any(part.shape[1:] != inside for part in parts[1:]):
        raise unlike_shapes()
    return np.concatenate(parts) if len(parts) > 1 else parts[0]

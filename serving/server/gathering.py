"""Requests that arrive within a moment, handed to the runtime's batcher as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .run_errors import unlike_shapes
from .tensors import as_array


class Gathering:
    """Joins calls from several threads, so that a batch enters the runtime only once.

    The first thread of a group waits for others, runs for all of them, and wakes them. A group is
    run when it is full, or when its time is over and fewer than `runs` groups are running: while
    the machine is busy, later calls gather. Full groups are always handed on, so how many may
    queue is the batcher's to decide.

    Args:
        run: takes a list of tensors of equal first dimensions and returns such a list.
        max_rows: int. Rows of a group; a call with as many is run by itself.
        seconds: float. How long the first call of a group waits.
        runs: int. Groups that run at once.

    Example:
    >>> double = Gathering(lambda tensors: [2 * tensors[0]], max_rows=4, seconds=0.0, runs=1)
    >>> double([tf.constant([1.5])], 1)[0].numpy()
    array([3.], dtype=float32)
    """

    def __init__(
        self, run: Callable[[list], list], max_rows: int, seconds: float, runs: int
    ) -> None:
        self._run = run
        self._max_rows = max_rows
        self._seconds = seconds
        self._runs = runs
        self._lock = threading.Lock()
        self._open: _Group | None = None
        self._running = 0

    def __call__(self, inputs: list[tf.Tensor], rows: int) -> list:
        """The outputs for these rows: tensors, or arrays if others were run together with them.

        Raises:
            ServingError: FAILED_PRECONDITION if a call of the group has another shape inside its
                rows.
            tf.errors.OpError: if the run fails.
        """
        if rows >= self._max_rows:
            return self._run(inputs)
        with self._lock:
            group = self._open
            leads = group is None or group.rows + rows > self._max_rows
            if leads:
                if group is not None:
                    self._close(group)
                group = self._open = _Group()
            assert group is not None
            member = group.join(inputs, rows)
            if group.rows == self._max_rows:
                self._close(group)
        if leads:
            self._lead(group)
        else:
            member.ready.acquire()
        return group.outputs_of(member)

    def _lead(self, group: _Group) -> None:
        if not group.closed.acquire(timeout=self._seconds):
            with self._lock:
                group.is_late = True
                if self._open is group and self._running < self._runs:
                    self._close(group)
            group.closed.acquire()
        try:
            group.run(self._run)
        finally:
            with self._lock:
                self._running -= 1
                if self._open is not None and self._open.is_late:
                    self._close(self._open)

    def _close(self, group: _Group) -> None:
        self._open = None
        self._running += 1
        group.closed.release()


class _Member:
    __slots__ = ("inputs", "ready", "rows", "start")

    def __init__(self, inputs: list[tf.Tensor], start: int, rows: int) -> None:
        self.inputs, self.start, self.rows = inputs, start, rows
        self.ready = _held()


class _Group:
    def __init__(self) -> None:
        self.closed = _held()  # until nobody may join any more
        self.is_late = False
        self.rows = 0
        self._members: list[_Member] = []
        self._outputs: list = []
        self._error: Exception | None = None

    def join(self, inputs: list[tf.Tensor], rows: int) -> _Member:
        member = _Member(inputs, self.rows, rows)
        self._members.append(member)
        self.rows += rows
        return member

    def run(self, run: Callable[[list], list]) -> None:
        members = self._members
        try:
            if len(members) == 1:
                self._outputs = run(members[0].inputs)
            else:
                by_input = zip(*(member.inputs for member in members), strict=True)
                outputs = run([_joined(parts) for parts in by_input])
                self._outputs = [as_array(tensor) for tensor in outputs]
        except Exception as error:
            self._error = error
        for member in members[1:]:
            member.ready.release()

    def outputs_of(self, member: _Member) -> list:
        if self._error is not None:
            raise self._error
        if len(self._members) == 1:
            return self._outputs
        end = member.start + member.rows
        return [array[member.start : end] for array in self._outputs]


def _joined(parts: tuple[tf.Tensor, ...]) -> tf.Tensor:
    inside: Any = parts[0].shape[1:]
    if any(part.shape[1:] != inside for part in parts[1:]):
        raise unlike_shapes()
    return tf.raw_ops.ConcatV2(values=parts, axis=0)


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock

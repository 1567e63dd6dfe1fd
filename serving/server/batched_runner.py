"""Running one function together with the requests of others."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import invalid_argument
from .batching import Batching
from .cancellation import Cancellation
from .gathering import Done, Gathering
from .ragged_batch import decode, encode, encoded_specs
from .runner import Runner
from .tensors import Inputs, as_array

# Called for each request: (rows of requests, rows that were run) of each batch that this request
# is the first in, and the seconds that it waited.
Observer = Callable[[list[tuple[int, int]], float], None]
_requests = itertools.count()
_MAX_ROWS = 2**20  # of a request, for the numbers of its rows


class BatchedRunner:
    """A `Runner` whose calls from several threads at once become one run.

    Args:
        body: callable on the inputs as positional arguments; returns a list of tensors whose
            first dimension is the inputs'.
        specs: a `tf.TensorSpec` an input, with its declared shape.
        batching: the parameters.
        queue: str. Unique in this process.
        observer: what to tell of batches, or None; it costs each request a few microseconds.

    Example:
    >>> spec = tf.TensorSpec([None], tf.float32, "x")
    >>> double = BatchedRunner(lambda x: [x + x], [spec], Batching(), "doctest")
    >>> double([np.array([1.5], "float32")])[0]
    array([3.], dtype=float32)
    """

    def __init__(
        self,
        body: Callable[..., Sequence[tf.Tensor]],
        specs: Sequence[tf.TensorSpec],
        batching: Batching,
        queue: str,
        observer: Observer | None = None,
    ) -> None:
        self._observer = observer
        free = [tf.TensorSpec(None, spec.dtype, spec.name) for spec in specs]
        self._alone = Runner(body, free)
        # Padding concerns what is inside a row: inputs that may have more than one dimension.
        self._padded = [
            batching.pad_variable_length_inputs and spec.shape.rank != 1 for spec in specs
        ]
        if any(self._padded):
            groups = [
                encoded_specs(spec.dtype) if padded else [spec]
                for spec, padded in zip(free, self._padded, strict=True)
            ]
            body = _decoding(body, [len(group) for group in groups], self._padded)
            free = [
                tf.TensorSpec(spec.shape, spec.dtype, f"{spec.name}_{i}")
                for i, group in enumerate(groups)
                for spec in group
            ]
        if observer is not None:
            body = _reporting(body)
            free = [tf.TensorSpec([None], tf.int64, "rows"), *free]
        self._together = Gathering(
            Runner(batching.batched(body, free, queue), free),
            max_rows=batching.largest,
            seconds=batching.batch_timeout_micros / 1e6,
            runs=batching.num_batch_threads,
            queued=batching.max_enqueued_batches,
        )

    def __call__(self, inputs: Inputs, cancellation: Cancellation | None = None) -> list:
        """Runs with others. Cannot be cancelled once they run: that would fail the others, too.

        Raises:
            ServingError: INVALID_ARGUMENT if the inputs are no rows; as `Gathering` fails.
            tf.errors.OpError: if the run fails or cannot be queued.
        """
        if not self.shares(inputs):
            return self._alone(inputs, cancellation)
        done = Future()

        def finish(outputs: list | None, error: Exception | None) -> None:
            if outputs is None:
                done.set_exception(error)
            else:
                done.set_result(outputs)

        self.submit([as_array(each) for each in inputs], finish, cancellation)
        return done.result()

    def shares(self, inputs: Inputs) -> bool:
        """Whether there are rows to be run with those of others.

        Raises:
            ServingError: INVALID_ARGUMENT if the inputs are no rows.
        """
        rows = set()
        for each in inputs:
            shape: Any = each.shape
            if not len(shape):
                raise invalid_argument(
                    "Batching Run() input tensors must have at least one dimension"
                )
            rows.add(shape[0])
        if len(rows) > 1:
            raise invalid_argument(
                "Batching Run() input tensors must have equal 0th-dimension size"
            )
        return rows != {0}

    def submit(
        self, inputs: list[np.ndarray], done: Done, cancellation: Cancellation | None = None
    ) -> None:
        """Runs with others, and then calls `done` with the outputs or with what went wrong."""
        rows = len(inputs[0])
        if any(self._padded):
            inputs = [
                part
                for array, padded in zip(inputs, self._padded, strict=True)
                for part in (encode(array) if padded else [array])
            ]
        observer = self._observer
        if observer is None:
            self._together.submit(inputs, rows, done, cancellation)
            return
        numbers = next(_requests) * _MAX_ROWS + np.arange(rows)
        start = time.time()

        def observe(outputs: list | None, error: Exception | None) -> None:
            if outputs is None:
                done(None, error)
                return
            *outputs, report = outputs
            done(outputs, None)
            batches = [(int(row[0]), int(row[1])) for row in report if row[2] == 0]
            observer(batches, max(0.0, report[0, 3] - start))

        self._together.submit([numbers, *inputs], rows, observe, cancellation)


def _reporting(body: Callable[..., Sequence[tf.Tensor]]) -> Callable[..., Sequence[tf.Tensor]]:
    """Adds an input, a number for each row, and an output (rows, 4): rows of requests, rows in
    all, this row's place, time of the start. Only the batcher knows, and it does not tell."""

    def reporting(numbers: tf.Tensor, *tensors: tf.Tensor) -> Sequence[tf.Tensor]:
        # Rows that fill up are copies of one that is there.
        real = tf.size(tf.unique(numbers)[0], tf.int64)
        count = tf.size(numbers, tf.int64)
        columns = [tf.fill([count], real), tf.fill([count], count), tf.range(count)]
        started = tf.fill([count], tf.timestamp())
        report = tf.stack([*(tf.cast(column, tf.float64) for column in columns), started], 1)
        return [*body(*tensors), report]

    return reporting


def _decoding(
    body: Callable[..., Sequence[tf.Tensor]], sizes: Sequence[int], padded: Sequence[bool]
) -> Callable[..., Sequence[tf.Tensor]]:
    def decoded(*parts: tf.Tensor) -> Sequence[tf.Tensor]:
        tensors, start = [], 0
        for size, is_padded in zip(sizes, padded, strict=True):
            group = list(parts[start : start + size])
            tensors.append(decode(group) if is_padded else group[0])
            start += size
        return body(*tensors)

    return decoded

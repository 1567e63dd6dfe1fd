"""Requests of several clients in one run: TensorFlow's own batcher around a signature."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import tensorflow as tf

_POSITIVE = ("max_batch_size", "max_enqueued_batches", "num_batch_threads")
_NUMBERS = (*_POSITIVE, "batch_timeout_micros")
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Batching:
    """How requests are put together; the names are those of TensorFlow Serving's
    `BatchingParameters`, and so are the defaults.

    Raises:
        ValueError: if the values contradict each other.

    Example:
    >>> Batching(max_batch_size=8, allowed_batch_sizes=(2, 8)).execution_sizes
    [2, 8]
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    thread_pool_name: str = ""
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise _refused(f"`{name}` must be positive", f"{name}={getattr(self, name)}")
        if self.batch_timeout_micros < 0:
            value = self.batch_timeout_micros
            raise _refused("`batch_timeout_micros` must be at least 0", str(value))
        for name in (*_NUMBERS, "max_execution_batch_size"):
            value = getattr(self, name)
            if value is not None and value > _LARGEST:  # TensorFlow's op has 32 bits for each
                raise _refused(f"`{name}` must be at most {_LARGEST}", f"{name}={value}")
        if not 1 <= self.largest <= self.max_batch_size:
            raise _refused(
                "`max_execution_batch_size` must be between 1 and max_batch_size",
                f"max_execution_batch_size={self.largest}, max_batch_size={self.max_batch_size}",
            )
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if any(a >= b for a, b in zip((0, *sizes), sizes, strict=False)):
            raise _refused("`allowed_batch_sizes` must be positive and increase", str(sizes))
        if sizes[-1] != self.largest:
            name = "max_execution_batch_size" if self._splits else "max_batch_size"
            raise _refused(
                f"The last of `allowed_batch_sizes` must be {name}",
                f"allowed_batch_sizes={sizes}, {name}={self.largest}",
            )

    @classmethod
    def from_proto(cls, parameters: Any) -> Batching:
        """Reads a `BatchingParameters`; what it leaves out keeps its default."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = getattr(parameters, field.name)
            if field.name == "allowed_batch_sizes":
                values[field.name] = tuple(value)
            elif isinstance(value, bool):
                values[field.name] = value
            elif parameters.HasField(field.name):
                values[field.name] = value.value
        return cls(**values)

    @property
    def _splits(self) -> bool:
        return self.enable_large_batch_splitting

    @property
    def largest(self) -> int:
        """Rows of the largest batch that is run."""
        if self._splits and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    @property
    def execution_sizes(self) -> list[int]:
        """The sizes that batches are filled up to; empty: any."""
        if self.allowed_batch_sizes or self.largest == self.max_batch_size:
            return list(self.allowed_batch_sizes)
        # TensorFlow's op takes the limit of a run from here only; every size means no filling up.
        return list(range(1, self.largest + 1))

    def batched(
        self,
        body: Callable[..., Sequence[tf.Tensor]],
        specs: Sequence[tf.TensorSpec],
        queue: str,
    ) -> Callable[..., Sequence[tf.Tensor]]:
        """The function that hands its tensors to the batcher and waits for its rows.

        Args:
            body: takes and returns lists of tensors whose first dimension is the batch.
            specs: of its inputs.
            queue: requests of one queue run together; all queues share the threads.
        """
        computation: Any = tf.function(body, autograph=False).get_concrete_function(*specs)

        def enqueue(*tensors: tf.Tensor) -> Sequence[tf.Tensor]:
            # What `tf.nondifferentiable_batch_function` calls, which cannot name queues.
            return tf.raw_ops.BatchFunction(
                in_tensors=list(tensors),
                captured_tensors=computation.captured_inputs,
                f=computation,
                Tout=[output.dtype for output in computation.outputs],
                num_batch_threads=self.num_batch_threads,
                max_batch_size=self.max_batch_size,
                batch_timeout_micros=0,  # the requests have waited for each other already
                max_enqueued_batches=self.max_enqueued_batches,
                allowed_batch_sizes=self.execution_sizes,
                enable_large_batch_splitting=self._splits,
                shared_name=repr(self),
                batching_queue=queue,
            )

        return enqueue


def _refused(rule: str, received: str) -> ValueError:
    return ValueError(f"Batching parameters: {rule}. Received: {received}")

"""Running one function together with the requests of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..errors import invalid_argument
from .batching import Batching
from .cancellation import Cancellation
from .ragged_batch import decode, encode, encoded_specs
from .runner import Runner


class BatchedRunner:
    """A `Runner` whose calls from several threads at once become one run.

    Args:
        body: callable on the inputs as positional arguments; returns a list of tensors whose
            first dimension is the inputs'.
        specs: a `tf.TensorSpec` an input, with its declared shape.
        batching: the parameters.
        queue: str. Unique in this process.

    Example:
    >>> spec = tf.TensorSpec([None], tf.float32, "x")
    >>> double = BatchedRunner(lambda x: [x + x], [spec], Batching(), "doctest")
    >>> double([tf.constant([1.5])])[0].numpy()
    array([3.], dtype=float32)
    """

    def __init__(
        self,
        body: Callable[..., Sequence[tf.Tensor]],
        specs: Sequence[tf.TensorSpec],
        batching: Batching,
        queue: str,
    ) -> None:
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
        self._together = Runner(batching.batched(body, free, queue), free)

    def __call__(self, inputs: list[tf.Tensor], cancellation: Cancellation | None = None) -> list:
        """Runs with others. Cannot be cancelled: that would fail the others, too.

        Raises:
            ServingError: INVALID_ARGUMENT if the inputs are no rows.
            tf.errors.OpError: if the run fails or cannot be queued.
        """
        rows = set()
        for tensor in inputs:
            shape: Any = tensor.shape
            if not shape.rank:
                raise invalid_argument(
                    "Batching Run() input tensors must have at least one dimension"
                )
            rows.add(shape[0])
        if len(rows) > 1:
            raise invalid_argument(
                "Batching Run() input tensors must have equal 0th-dimension size"
            )
        if rows == {0}:
            return self._alone(inputs, cancellation)  # nothing to share
        if any(self._padded):
            inputs = [
                part
                for tensor, padded in zip(inputs, self._padded, strict=True)
                for part in (encode(tensor) if padded else [tensor])
            ]
        return self._together(inputs)


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

"""Calling one function of the runtime, at the least cost that Python allows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# `ConcreteFunction.__call__` takes three times as long: it looks for gradient tapes and for the
# structure of arguments, and cannot be stopped from another thread without a global variable.
from tensorflow.python.eager import context, execute

from .cancellation import Cancellation
from .tensors import Inputs, as_tensor


class Runner:
    """A traced function that takes a flat list of arrays or tensors and returns one of tensors.

    Args:
        body: callable on the inputs as positional arguments; returns a list of tensors.
        specs: a `tf.TensorSpec` an input.

    Example:
    >>> import numpy as np
    >>> double = Runner(lambda x: [x + x], [tf.TensorSpec(None, tf.float32, "x")])
    >>> double([np.array([1.5], "float32")])[0].numpy()
    array([3.], dtype=float32)
    """

    def __init__(
        self, body: Callable[..., Sequence[tf.Tensor]], specs: Sequence[tf.TensorSpec]
    ) -> None:
        # Kept: the runtime drops the function, and what it captures, with this object.
        self.function: Any = tf.function(body, autograph=False).get_concrete_function(*specs)
        self.captured = list(self.function.captured_inputs)
        self._dtypes = [spec.dtype for spec in specs]
        self._name = self.function.name.decode()
        self._count = len(self.function.outputs)
        self._context: Any = context.context()
        options = self._context.function_call_options.as_attrs()
        self._attributes = tuple(itertools.chain(*options.items()))

    def __call__(self, inputs: Inputs, cancellation: Cancellation | None = None) -> list:
        """Runs; raises `tf.errors.OpError`, CancelledError if the cancellation stops it."""
        tensors = [*map(as_tensor, inputs, self._dtypes), *self.captured]
        if cancellation is None:
            return execute.execute(
                self._name, self._count, tensors, self._attributes, self._context
            )
        return execute.execute_with_cancellation(
            self._name, self._count, tensors, self._attributes, self._context, cancellation.manager
        )

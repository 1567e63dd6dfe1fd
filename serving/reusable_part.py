"""One callable inside an export."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class ReusablePart(tf.train.Checkpoint):
    """A callable that fine-tunes after reloading: `__call__`, variables, regularization losses.

    Args:
        function: callable(inputs, training) that is pure but for the variables.

    Reference: TF Hub's "Reusable SavedModels".
    """

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    # TensorFlow saves methods only if their first parameter is called `self`.
    @tf.function
    def __call__(self, inputs, training=False):
        return self._function(inputs, training)

    def trace(self, specs: list) -> list:
        """Traces both modes for each spec: a reloaded function cannot be traced again."""
        function: Any = self.__call__
        return [
            function.get_concrete_function(spec, training=mode)
            for spec in specs
            for mode in (True, False)
        ]

    def add_variables(self, variables: list, trainable: list, losses: list) -> None:
        """Sets the lists that TF Hub's layers read."""
        self.variables = variables
        self.trainable_variables = trainable
        self.regularization_losses = losses

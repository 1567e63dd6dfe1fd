"""What the tests of all models share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import initializers, table_initializer


@pytest.fixture(scope="session")
def arrays():
    """Turns a dict of tensors into one of numpy arrays."""
    return lambda tensors: {k: keras.ops.convert_to_numpy(v) for k, v in tensors.items()}


@pytest.fixture(scope="session")
def without_gradient():
    """`without_gradient(loss, weights)`: paths of the weights that `loss()` gives no gradient."""

    def find(loss, weights):
        with tf.GradientTape() as tape:
            total = loss()
        gradients = tape.gradient(total, weights)
        return [
            weight.path
            for weight, gradient in zip(weights, gradients, strict=True)
            if gradient is None or not np.any(tf.convert_to_tensor(gradient))
        ]

    return find


@pytest.fixture
def poison(monkeypatch):
    """What stands in memory that nobody has written to, at its worst."""
    made = []

    def no_values(shape, dtype=None):
        made.append(tuple(shape))
        return keras.ops.full(shape, np.nan, dtype)

    monkeypatch.setattr(initializers, "no_values", no_values)
    monkeypatch.setattr(table_initializer, "no_values", no_values)
    return made

"""What the tests of all models share."""

import keras
import numpy as np
import pytest
import tensorflow as tf


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

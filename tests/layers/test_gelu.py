import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import FeedForward
from polysemy.layers.gelu import gelu

X = np.concatenate([np.linspace(-6, 6, 241), [-40.0, 40.0, 0.0]])


def gradients(function, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("approximate", [False, True])
def test_gradient_is_that_of_the_formula(approximate):
    """Against differences of the formula in float64."""
    y, slope = gradients(lambda x: gelu(x, approximate), X.astype("float32"))
    wide = [np.array(keras.ops.gelu(tf.constant(X + d), approximate)) for d in (-1e-5, 0, 1e-5)]
    np.testing.assert_allclose(y, wide[1], atol=1e-6)
    np.testing.assert_allclose(slope, (wide[2] - wide[0]) / 2e-5, atol=5e-6)


@pytest.mark.parametrize("approximate", [False, True])
def test_half_precision(approximate):
    x = tf.cast(X, "bfloat16")
    y, slope = gradients(lambda x: gelu(x, approximate), x)
    assert y.dtype == slope.dtype == tf.bfloat16
    _, expected = gradients(lambda x: keras.ops.gelu(x, approximate), np.array(x).astype("float32"))
    np.testing.assert_allclose(np.array(slope).astype("float32"), expected, atol=0.02)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_training_keeps_little(activation):
    """What the gradient of a training step needs from its forward pass."""
    layer = FeedForward(40, activation)
    layer.build((None, 6))
    rows = 7

    @tf.function(autograph=False)
    def loss(x):
        return keras.ops.sum(layer(x, training=True))

    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            value = loss(x)
        return tape.gradient(value, layer.trainable_variables)

    traced = step.get_concrete_function(tf.TensorSpec((rows, 6)))
    call = next(op for op in traced.graph.get_operations() if len(op.outputs) > 1)
    wide = [output for output in call.outputs if output.shape == (rows, 40)]
    # What the GELU takes, under two names, and what it gives. Keras's own keeps two arrays more.
    assert len(wide) == 3
